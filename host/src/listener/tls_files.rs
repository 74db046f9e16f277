use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::TlsError;
use crate::private_file::{self, ReadError};

/// The PEM files (RFC 7468) of a listener with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and after it the ones that lead to its authority.
    pub cert: PathBuf,
    /// Its private key: PKCS#8, SEC 1 or PKCS#1, readable by its owner only.
    pub key: PathBuf,
    /// The authorities that clients' certificates are verified with; clients are not asked for
    /// one without.
    pub client_ca: Option<PathBuf>,
}

/// What the files hold at one moment.
pub(super) struct TlsTexts {
    cert: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

/// What is made of them.
#[derive(Debug)]
pub(super) struct TlsServer {
    /// For handshakes.
    pub(super) config: Arc<ServerConfig>,
    /// The last moment of the server certificate's validity, Unix time in seconds.
    pub(super) not_after: i64,
}

/// Says whether a listener could be started with these files.
///
/// # Errors
/// [`TlsError`].
pub fn check_tls(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<(), TlsError> {
    let files = TlsFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
        client_ca: client_ca.map(Path::to_owned),
    };
    files.server(&files.read()?).map(drop)
}

impl TlsFiles {
    pub(super) fn read(&self) -> Result<TlsTexts, TlsError> {
        let key = private_file::read(&self.key).map_err(|error| match error {
            ReadError::Io(error) => TlsError::File {
                path: name(&self.key),
                error,
            },
            ReadError::Mode(mode) => TlsError::KeyMode {
                path: name(&self.key),
                mode,
            },
        })?;
        Ok(TlsTexts {
            cert: read_public(&self.cert)?,
            key,
            client_ca: self.client_ca.as_deref().map(read_public).transpose()?,
        })
    }

    /// TLS 1.2 (RFC 5246) and 1.3 (RFC 8446), for HTTP/2 and HTTP/1.1 (RFC 7301).
    pub(super) fn server(&self, texts: &TlsTexts) -> Result<TlsServer, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let bad_certificate = |reason: String| TlsError::Certificate {
            path: name(&self.cert),
            reason,
        };
        let chain = certificates(&texts.cert).map_err(bad_certificate)?;
        let not_after = chain
            .first()
            .and_then(|certificate| x509_parser::parse_x509_certificate(certificate).ok())
            .map(|(_, certificate)| certificate.validity().not_after.timestamp())
            .ok_or_else(|| bad_certificate("the first one cannot be read".to_owned()))?;
        let certified = self.certified_key(chain, &texts.key, &provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad_certificate(error.to_string()))?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = match &texts.client_ca {
            None => builder.with_no_client_auth().with_cert_resolver(resolver),
            Some(text) => {
                let roots = self.client_roots(text)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| self.bad_ca(error.to_string()))?;
                let mut config = builder
                    .with_client_cert_verifier(verifier)
                    .with_cert_resolver(resolver);
                // A session that is taken up again would not verify the client's certificate again.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsServer {
            config: Arc::new(config),
            not_after,
        })
    }

    fn certified_key(
        &self,
        chain: Vec<CertificateDer<'static>>,
        text: &[u8],
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let bad_key = |reason: String| TlsError::Key {
            path: name(&self.key),
            reason,
        };
        let mut keys = PrivateKeyDer::pem_slice_iter(text);
        let der = match (keys.next(), keys.next()) {
            (Some(der), None) => der.map_err(|error| bad_key(error.to_string()))?,
            (None, _) => return Err(bad_key("there is none in it".to_owned())),
            (Some(_), Some(_)) => return Err(bad_key("there are several in it".to_owned())),
        };
        let key = provider
            .key_provider
            .load_private_key(der)
            .map_err(|error| bad_key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(certified)
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
                cert: name(&self.cert),
                key: name(&self.key),
            }),
            Err(error) => Err(TlsError::Certificate {
                path: name(&self.cert),
                reason: error.to_string(),
            }),
        }
    }

    fn client_roots(&self, text: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(text).map_err(|reason| self.bad_ca(reason))? {
            roots
                .add(certificate)
                .map_err(|error| self.bad_ca(error.to_string()))?;
        }
        Ok(Arc::new(roots))
    }

    fn bad_ca(&self, reason: String) -> TlsError {
        TlsError::Ca {
            path: self.client_ca.as_deref().map(name).unwrap_or_default(),
            reason,
        }
    }
}

impl TlsTexts {
    /// Equal for equal authorities of clients only; none without.
    pub(super) fn client_ca_fingerprint(&self) -> Option<[u8; 32]> {
        let text = self.client_ca.as_ref()?;
        Some(Sha256::digest(text.as_slice()).into())
    }

    /// Equal for equal texts only: their SHA-256.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let none = Zeroizing::default();
        for text in [
            &self.cert,
            &self.key,
            self.client_ca.as_ref().unwrap_or(&none),
        ] {
            // Each goes in behind its length, so that no text can pass for two.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_slice());
        }
        hash.finalize().into()
    }
}

fn read_public(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    match private_file::read_regular(path) {
        Ok((text, _)) => Ok(text),
        Err(error) => Err(TlsError::File {
            path: name(path),
            error,
        }),
    }
}

/// The certificates of a PEM text, at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<CertificateDer<'static>>, _>>()
        .map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("there is none in it".to_owned());
    }
    Ok(found)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

//! The keys that sign TokenSmith's tokens: PEM files, readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokensmith_engine::jose::{Algorithm, Curve, Jwk, JwkError, PublicKey, encode_base64url};

/// A private key and the JWK it is published as.
#[derive(Debug)]
pub struct SigningKey {
    private: Private,
    algorithm: Algorithm,
    jwk: Jwk,
    kid: String,
}

/// Why a key cannot be used or made.
#[derive(Debug, Error)]
pub enum SigningKeyError {
    /// The file cannot be read or written.
    #[error("cannot read or write signing key `{path}`: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others than its owner may read the file.
    #[error("signing key `{path}` is readable by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Mode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a PEM private key of a supported kind.
    #[error(
        "signing key `{path}` is not a PEM private key for ES256 (P-256) or RS256 (RSA of at least 2048 bits)"
    )]
    Format {
        /// The file.
        path: String,
    },
    /// The public key is not acceptable.
    #[error("signing key `{path}`: {error}")]
    Public {
        /// The file.
        path: String,
        /// Why.
        error: JwkError,
    },
    /// The cryptographic library made no key.
    #[error("cannot make a signing key")]
    Generate,
}

/// The cryptographic library refused to sign.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("cannot sign")]
pub struct SignError;

#[derive(Debug)]
enum Private {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// The keys of a folder in order of their names, the one that signs last. A folder without
    /// keys gets a new ES256 key.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn open_folder(folder: &Path, now: i64) -> Result<Vec<Self>, SigningKeyError> {
        let mut paths = Vec::new();
        if folder.exists() {
            for entry in fs::read_dir(folder).map_err(io(folder))? {
                let path = entry.map_err(io(folder))?.path();
                if path.extension().is_some_and(|extension| extension == "pem") {
                    paths.push(path);
                }
            }
        } else {
            fs::create_dir_all(folder).map_err(io(folder))?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io(folder))?;
        }
        if paths.is_empty() {
            paths.push(generate(folder, now)?);
        }
        paths.sort();
        paths.iter().map(|path| Self::open(path)).collect()
    }

    /// One key from a PEM file: PKCS#8, SEC 1 or PKCS#1.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn open(path: &Path) -> Result<Self, SigningKeyError> {
        let name = || path.display().to_string();
        let mode = fs::metadata(path).map_err(io(path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SigningKeyError::Mode { path: name(), mode });
        }
        let text = fs::read(path).map_err(io(path))?;
        let document = pem::parse(&text).map_err(|_| SigningKeyError::Format { path: name() })?;
        Self::from_der(document.contents())
            .ok_or_else(|| SigningKeyError::Format { path: name() })?
            .map_err(|error| SigningKeyError::Public {
                path: name(),
                error,
            })
    }

    fn from_der(der: &[u8]) -> Option<Result<Self, JwkError>> {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        {
            // The public key is an uncompressed point: 04, x, y.
            let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
            let public = PublicKey::Ec {
                curve: Curve::P256,
                x: x.to_vec(),
                y: y.to_vec(),
            };
            return Some(Self::new(Private::Ec(pair), Algorithm::ES256, public));
        }
        let pair = RsaKeyPair::from_pkcs8(der)
            .or_else(|_| RsaKeyPair::from_der(der))
            .ok()?;
        let public = PublicKey::Rsa {
            n: pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero()
                .to_vec(),
            e: pair
                .public_key()
                .exponent()
                .big_endian_without_leading_zero()
                .to_vec(),
        };
        Some(Self::new(Private::Rsa(pair), Algorithm::RS256, public))
    }

    fn new(private: Private, algorithm: Algorithm, public: PublicKey) -> Result<Self, JwkError> {
        let jwk = Jwk::from_public(public, Some(algorithm))?;
        Ok(Self {
            private,
            algorithm,
            kid: jwk.thumbprint(),
            jwk,
        })
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as published.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// A token of `claims` (RFC 7519).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, SignError> {
        self.sign_as("JWT", claims)
    }

    /// A compact JWS of `claims` (RFC 7515) with the type `typ`, header members `alg`, `kid`,
    /// `typ`.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_as(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, SignError> {
        let header = json!({"alg": self.algorithm.name(), "kid": self.kid, "typ": typ});
        let payload = serde_json::to_vec(claims).map_err(|_| SignError)?;
        let input = format!(
            "{}.{}",
            encode_base64url(header.to_string()),
            encode_base64url(payload)
        );
        let random = SystemRandom::new();
        let signature = match &self.private {
            Private::Ec(pair) => {
                let signature = pair
                    .sign(&random, input.as_bytes())
                    .map_err(|_| SignError)?;
                encode_base64url(signature.as_ref())
            }
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .map_err(|_| SignError)?;
                encode_base64url(signature)
            }
        };
        Ok(format!("{input}.{signature}"))
    }
}

/// Writes a new key under a name that sorts after all older ones. The file appears complete or
/// not at all.
fn generate(folder: &Path, now: i64) -> Result<PathBuf, SigningKeyError> {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| SigningKeyError::Generate)?;
    let text = pem::encode(&pem::Pem::new("PRIVATE KEY", document.as_ref()));
    let path = folder.join(format!("{now:012}-es256.pem"));
    let draft = path.with_extension("draft");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    write().map_err(io(&path))?;
    Ok(path)
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> SigningKeyError {
    let path = path.display().to_string();
    move |error| SigningKeyError::Io {
        path: path.clone(),
        error,
    }
}

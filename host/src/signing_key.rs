//! The keys that sign TokenSmith's tokens: PEM files, readable by their owner only.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokensmith_engine::jose::{Algorithm, Curve, Jwk, JwkError, PublicKey, encode_base64url};
use zeroize::Zeroizing;

use crate::private_file::{self, ReadError};

/// A private key and the JWK it is published as.
#[derive(Debug)]
pub struct SigningKey {
    private: Private,
    algorithm: Algorithm,
    jwk: Jwk,
    kid: String,
}

/// The kind of a key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    Es256,
    /// RSASSA-PKCS1-v1_5.
    Rs256(RsaSize),
    /// RSASSA-PSS.
    Ps256(RsaSize),
    /// Ed25519.
    EdDsa,
}

/// The size of an RSA key to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaSize {
    /// 2048 bits.
    Bits2048,
    /// 3072 bits, of the strength of P-256.
    #[default]
    Bits3072,
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
        "signing key `{path}` is not a PEM private key for ES256 (P-256), RS256 or PS256 (RSA of at least 2048 bits) or EdDSA (Ed25519)"
    )]
    Format {
        /// The file.
        path: String,
    },
    /// The key is of another kind than the algorithm that it is to sign with.
    #[error("signing key `{path}` does not sign with {algorithm}")]
    Algorithm {
        /// The file.
        path: String,
        /// As asked for.
        algorithm: Algorithm,
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
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// One key from a PEM file: PKCS#8 (RFC 5958), SEC 1 (RFC 5915) or PKCS#1 (RFC 8017). An RSA
    /// key signs with RS256 unless the file's name ends in `-ps256.pem`.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn open(path: &Path) -> Result<Self, SigningKeyError> {
        let pss = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.ends_with("-ps256.pem"));
        Self::open_for(path, pss.then_some(Algorithm::PS256))
    }

    /// As [`SigningKey::open`], for one algorithm if it is given.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn open_for(path: &Path, algorithm: Option<Algorithm>) -> Result<Self, SigningKeyError> {
        let name = || path.display().to_string();
        let text = private_file::read(path).map_err(|error| match error {
            ReadError::Io(error) => SigningKeyError::Io {
                path: name(),
                error,
            },
            ReadError::Mode(mode) => SigningKeyError::Mode { path: name(), mode },
        })?;
        let (private, public, own) = private_der(&text)
            .and_then(|der| parse(&der))
            .ok_or_else(|| SigningKeyError::Format { path: name() })?;
        let algorithm = match (algorithm, own) {
            (None, own) => own,
            (Some(asked), own) if asked == own => own,
            (Some(Algorithm::PS256), Algorithm::RS256) => Algorithm::PS256,
            (Some(algorithm), _) => {
                return Err(SigningKeyError::Algorithm {
                    path: name(),
                    algorithm,
                });
            }
        };
        Self::new(private, algorithm, public).map_err(|error| SigningKeyError::Public {
            path: name(),
            error,
        })
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`SigningKeyError::Generate`].
    pub fn generate(kind: KeyKind) -> Result<Self, SigningKeyError> {
        let der = match kind {
            KeyKind::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pkcs8(&Private::Ec(pair))),
            KeyKind::EdDsa => {
                Ed25519KeyPair::generate().and_then(|pair| pkcs8(&Private::Ed25519(pair)))
            }
            KeyKind::Rs256(size) | KeyKind::Ps256(size) => {
                RsaKeyPair::generate(size.into()).and_then(|pair| pkcs8(&Private::Rsa(pair)))
            }
        }
        .map_err(|_| SigningKeyError::Generate)?;
        // Reading it back proves that what will be written is a key that can be used.
        let (private, public, _) = parse(&der).ok_or(SigningKeyError::Generate)?;
        Self::new(private, kind.algorithm(), public).map_err(|_| SigningKeyError::Generate)
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

    /// The private key as a PKCS#8 PEM text (RFC 5958, RFC 7468), erased when it is dropped.
    ///
    /// # Errors
    /// [`SigningKeyError::Generate`] when the library does not write it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SigningKeyError> {
        let der = pkcs8(&self.private).map_err(|_| SigningKeyError::Generate)?;
        let document = pem::Pem::new("PRIVATE KEY", der.as_slice());
        let text = Zeroizing::new(pem::encode(&document));
        // The library does not erase its copy, its owner can.
        drop(Zeroizing::new(document.into_contents()));
        Ok(text)
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The RFC 7638 thumbprint it is known by.
    pub fn kid(&self) -> &str {
        &self.kid
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
            Private::Ed25519(pair) => {
                let signature = pair.try_sign(input.as_bytes()).map_err(|_| SignError)?;
                encode_base64url(signature.as_ref())
            }
            Private::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match self.algorithm {
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, input.as_bytes(), &mut signature)
                    .map_err(|_| SignError)?;
                encode_base64url(signature)
            }
        };
        Ok(format!("{input}.{signature}"))
    }
}

impl KeyKind {
    /// The kind of key that signs with `algorithm`, if such keys are made.
    pub fn of(algorithm: Algorithm, size: RsaSize) -> Option<Self> {
        match algorithm {
            Algorithm::ES256 => Some(KeyKind::Es256),
            Algorithm::RS256 => Some(KeyKind::Rs256(size)),
            Algorithm::PS256 => Some(KeyKind::Ps256(size)),
            Algorithm::EdDSA => Some(KeyKind::EdDsa),
            _ => None,
        }
    }

    /// What a key of this kind signs with.
    pub fn algorithm(self) -> Algorithm {
        match self {
            KeyKind::Es256 => Algorithm::ES256,
            KeyKind::Rs256(_) => Algorithm::RS256,
            KeyKind::Ps256(_) => Algorithm::PS256,
            KeyKind::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl From<RsaSize> for KeySize {
    fn from(size: RsaSize) -> Self {
        match size {
            RsaSize::Bits2048 => KeySize::Rsa2048,
            RsaSize::Bits3072 => KeySize::Rsa3072,
        }
    }
}

impl SigningKeyError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            SigningKeyError::Io { .. } => "key_file",
            SigningKeyError::Mode { .. } => "key_mode",
            SigningKeyError::Format { .. } => "key_format",
            SigningKeyError::Algorithm { .. } => "key_algorithm",
            SigningKeyError::Public { .. } => "key_public",
            SigningKeyError::Generate => "key_generate",
        }
    }
}

/// The one private key of a PEM text, which may have other documents beside it: `openssl ecparam`
/// puts the curve first.
fn private_der(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut found = None;
    for document in pem::parse_many(text).ok()? {
        let private = matches!(
            document.tag(),
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"
        );
        let contents = Zeroizing::new(document.into_contents());
        if private && found.replace(contents).is_some() {
            return None;
        }
    }
    found
}

/// A key, its public part, and the algorithm it signs with unless another is asked for.
fn parse(der: &[u8]) -> Option<(Private, PublicKey, Algorithm)> {
    if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
        // The public key is an uncompressed point: 04, x, y.
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let public = PublicKey::Ec {
            curve: Curve::P256,
            x: x.to_vec(),
            y: y.to_vec(),
        };
        return Some((Private::Ec(pair), public, Algorithm::ES256));
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
        let x = pair.public_key().as_ref().to_vec();
        let public = PublicKey::Ed25519 { x };
        return Some((Private::Ed25519(pair), public, Algorithm::EdDSA));
    }
    let pair = RsaKeyPair::from_pkcs8(der)
        .or_else(|_| RsaKeyPair::from_der(der))
        .ok()?;
    let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
    let public = PublicKey::Rsa {
        n: n.big_endian_without_leading_zero().to_vec(),
        e: e.big_endian_without_leading_zero().to_vec(),
    };
    Some((Private::Rsa(pair), public, Algorithm::RS256))
}

/// Version 1 everywhere: not every OpenSSL reads version 2 with its public key.
fn pkcs8(private: &Private) -> Result<Zeroizing<Vec<u8>>, aws_lc_rs::error::Unspecified> {
    let der = match private {
        Private::Ec(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
        Private::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
        Private::Rsa(pair) => {
            let der: Pkcs8V1Der<'static> = pair.as_der()?;
            der.as_ref().to_vec()
        }
    };
    Ok(Zeroizing::new(der))
}

#[cfg(test)]
mod tests {
    use tokensmith_engine::jose::{Jws, Limits};

    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same_key() {
        for kind in [
            KeyKind::Es256,
            KeyKind::EdDsa,
            KeyKind::Rs256(RsaSize::Bits2048),
            KeyKind::Ps256(RsaSize::Bits2048),
        ] {
            let key = SigningKey::generate(kind).unwrap();
            let text = key.to_pem().unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
            let (private, public, _) = private_der(text.as_bytes())
                .and_then(|der| parse(&der))
                .unwrap();
            let again = SigningKey::new(private, kind.algorithm(), public).unwrap();
            assert_eq!(again.jwk(), key.jwk(), "{kind:?}");
            let token = again.sign(&Map::new()).unwrap();
            let inspected = Jws::inspect(&token, &Limits::default()).unwrap();
            assert_eq!(inspected.header["alg"], kind.algorithm().name());
            assert_eq!(inspected.header["kid"], key.kid());
        }
    }

    #[test]
    fn two_private_keys_in_one_file_are_none() {
        let one = SigningKey::generate(KeyKind::Es256).unwrap();
        let text = one.to_pem().unwrap();
        assert!(private_der(text.as_bytes()).is_some());
        assert!(private_der(format!("{}{}", &*text, &*text).as_bytes()).is_none());
    }
}

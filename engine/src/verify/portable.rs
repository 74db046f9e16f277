//! Signature checks in portable Rust, for wasm and for hosts without native cryptography.

use rsa::BoxedUint;
use rsa::signature::Verifier as _;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{SignatureProvider, Verdict, VerificationKey};
use crate::jose::{Algorithm, Curve, Jwk, JwkError, PublicKey};

/// The RustCrypto provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

enum PortableKey {
    Rsa(Box<rsa::PublicKey>),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl SignatureProvider for Portable {
    fn prepare(&self, jwk: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError> {
        let unusable = |_| JwkError::Unusable;
        let key = match jwk.public_key() {
            PublicKey::Rsa { n, e } => {
                let (n, e) = (
                    BoxedUint::from_be_slice_vartime(n),
                    BoxedUint::from_be_slice_vartime(e),
                );
                let key = rsa::PublicKey::new_with_size_limits(n, e, 2048..=8192)
                    .map_err(|_| JwkError::Unusable)?;
                PortableKey::Rsa(Box::new(key))
            }
            PublicKey::Ec { curve, x, y } => {
                let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
                match curve {
                    Curve::P256 => PortableKey::P256(
                        p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(unusable)?,
                    ),
                    Curve::P384 => PortableKey::P384(
                        p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(unusable)?,
                    ),
                    Curve::P521 => PortableKey::P521(Box::new(
                        p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(unusable)?,
                    )),
                }
            }
            PublicKey::Ed25519 { x } => {
                let bytes: &[u8; 32] = x.as_slice().try_into().map_err(|_| JwkError::Unusable)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(unusable)?;
                PortableKey::Ed25519(key)
            }
        };
        Ok(Some(Box::new(key)))
    }
}

impl VerificationKey for PortableKey {
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Verdict {
        if self.check(algorithm, message, signature).is_some() {
            Verdict::Valid
        } else {
            Verdict::Invalid
        }
    }
}

impl PortableKey {
    fn check(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<()> {
        match (self, algorithm) {
            (PortableKey::Rsa(key), _) => rsa_check(key, algorithm, message, signature),
            (PortableKey::P256(key), Algorithm::ES256) => {
                let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
                key.verify(message, &signature).ok()
            }
            (PortableKey::P384(key), Algorithm::ES384) => {
                let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
                key.verify(message, &signature).ok()
            }
            (PortableKey::P521(key), Algorithm::ES512) => {
                let signature = p521::ecdsa::Signature::from_slice(signature).ok()?;
                key.verify(message, &signature).ok()
            }
            (PortableKey::Ed25519(key), Algorithm::EdDSA) => {
                let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
                key.verify(message, &signature).ok()
            }
            _ => None,
        }
    }
}

fn rsa_check(
    key: &rsa::PublicKey,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    use rsa::{Pkcs1v15Sign, Pss};

    // `Pss::new` demands a salt as long as the hash (RFC 7518 section 3.5).
    match algorithm {
        Algorithm::RS256 => key.verify(
            Pkcs1v15Sign::new::<Sha256>(),
            &Sha256::digest(message),
            signature,
        ),
        Algorithm::RS384 => key.verify(
            Pkcs1v15Sign::new::<Sha384>(),
            &Sha384::digest(message),
            signature,
        ),
        Algorithm::RS512 => key.verify(
            Pkcs1v15Sign::new::<Sha512>(),
            &Sha512::digest(message),
            signature,
        ),
        Algorithm::PS256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signature),
        Algorithm::PS384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signature),
        Algorithm::PS512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signature),
        _ => return None,
    }
    .ok()
}

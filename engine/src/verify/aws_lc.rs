//! Signature checks by aws-lc-rs, for native targets.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};

use super::{SignatureProvider, Verdict, VerificationKey};
use crate::jose::{Algorithm, Jwk, JwkError, PublicKey};

/// The aws-lc-rs provider. Each key is parsed once for each algorithm it allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

struct AwsLcKey(Vec<(Algorithm, ParsedPublicKey)>);

impl SignatureProvider for AwsLc {
    fn prepare(&self, jwk: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError> {
        let encoded = match jwk.public_key() {
            PublicKey::Ed25519 { x } => x.clone(),
            PublicKey::Ec { x, y, .. } => [&[0x04], x.as_slice(), y.as_slice()].concat(),
            PublicKey::Rsa { .. } => jwk.spki_der(),
        };
        let parsed = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| jwk.allows(*algorithm))
            .map(|algorithm| {
                ParsedPublicKey::new(implementation(algorithm), &encoded)
                    .map(|key| (algorithm, key))
                    .map_err(|_| JwkError::Unusable)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Box::new(AwsLcKey(parsed))))
    }
}

impl VerificationKey for AwsLcKey {
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Verdict {
        let valid = self
            .0
            .iter()
            .find(|(own, _)| *own == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok());
        if valid {
            Verdict::Valid
        } else {
            Verdict::Invalid
        }
    }
}

fn implementation(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
    }
}

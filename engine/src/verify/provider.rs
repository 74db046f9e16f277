use crate::jose::{Algorithm, Jwk, JwkError};

/// The answer to a signature check. There is no third value: whatever is not a clear yes is
/// [`Verdict::Invalid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The signature is this key's over this message.
    Valid,
    /// Anything else, an error of the provider included.
    Invalid,
}

/// Turns public keys into keys that can check signatures. Keys are prepared once per key set.
pub trait SignatureProvider: std::fmt::Debug + Send + Sync {
    /// Parses and checks `jwk`; `None` when this provider leaves the check to the shell.
    ///
    /// # Errors
    /// [`JwkError::Unusable`] when the key is not valid, such as a point off its curve.
    fn prepare(&self, jwk: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError>;
}

/// A prepared key.
pub trait VerificationKey: Send + Sync {
    /// Checks `signature` (for ECDSA the concatenation r || s, RFC 7518 section 3.4) over
    /// `message`. `algorithm` fits the key: the engine has checked that.
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Verdict;
}

/// The provider of shells that check every signature outside the engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct External;

impl SignatureProvider for External {
    fn prepare(&self, _jwk: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError> {
        Ok(None)
    }
}

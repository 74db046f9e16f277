use std::borrow::Cow;
use std::sync::Arc;

use super::{Key, Verdict, Verified, VerifyError};
use crate::claims::{ClaimRules, Claims};
use crate::jose::{Algorithm, Header};

/// A signature that has to be checked before a token is verified.
///
/// The claims inside are unverified and not readable from here.
#[derive(Debug)]
#[must_use = "a token is verified only by `finish`"]
pub struct SignatureJob<'t> {
    pub(super) header: Header,
    pub(super) key: Arc<Key>,
    pub(super) signing_input: Cow<'t, str>,
    pub(super) signature: Vec<u8>,
    pub(super) claims: Claims,
    pub(super) rules: Arc<ClaimRules>,
    pub(super) now: i64,
}

impl<'t> SignatureJob<'t> {
    /// The algorithm to check with; it fits the key.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key to check with.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// The signed bytes.
    pub fn message(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The signature; for ECDSA r || s.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Lets the key's own provider check; `None` when the shell has to.
    pub fn check(&self) -> Option<Verdict> {
        self.key
            .verify(self.algorithm(), self.message(), self.signature())
    }

    /// Ends the verification: the signature's verdict first, then the claims.
    ///
    /// # Errors
    /// [`VerifyError::Signature`] or [`VerifyError::Claim`].
    pub fn finish(self, verdict: Verdict) -> Result<Verified, VerifyError> {
        if verdict != Verdict::Valid {
            return Err(VerifyError::Signature);
        }
        self.rules.check(&self.claims, self.now)?;
        Ok(Verified::new(self.header, self.claims, self.rules))
    }

    /// Detaches the job from the token's text, for checks that end later.
    pub fn into_owned(self) -> SignatureJob<'static> {
        SignatureJob {
            signing_input: Cow::Owned(self.signing_input.into_owned()),
            header: self.header,
            key: self.key,
            signature: self.signature,
            claims: self.claims,
            rules: self.rules,
            now: self.now,
        }
    }
}

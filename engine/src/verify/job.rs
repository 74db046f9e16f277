use std::borrow::Cow;
use std::sync::Arc;

use super::{Key, Verdict, Verified, VerifyError};
use crate::binding::Presented;
use crate::claims::{ClaimRules, Claims};
use crate::jose::{Algorithm, Header};

/// One signature check, for whoever carries it out.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'j> {
    /// The algorithm; it fits the key.
    pub algorithm: Algorithm,
    /// The key.
    pub key: &'j Key,
    /// The signed bytes.
    pub message: &'j [u8],
    /// The signature; for ECDSA r || s.
    pub signature: &'j [u8],
}

impl SignatureCheck<'_> {
    /// Lets the key's own provider check; `None` when the shell has to.
    pub fn run(&self) -> Option<Verdict> {
        self.key
            .verify(self.algorithm, self.message, self.signature)
    }
}

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

    /// The issuer whose key it is.
    pub fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// The signed bytes.
    pub fn message(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The signature; for ECDSA r || s.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The check to make.
    pub fn effect(&self) -> SignatureCheck<'_> {
        SignatureCheck {
            algorithm: self.algorithm(),
            key: &self.key,
            message: self.message(),
            signature: &self.signature,
        }
    }

    /// Lets the key's own provider check; `None` when the shell has to.
    pub fn check(&self) -> Option<Verdict> {
        self.effect().run()
    }

    /// Ends the verification of a token that came alone: the signature's verdict first, then the
    /// claims. A token that is bound to a certificate or key is refused.
    ///
    /// # Errors
    /// [`VerifyError::Signature`], [`VerifyError::Claim`] or [`VerifyError::Binding`].
    pub fn finish(self, verdict: Verdict) -> Result<Verified, VerifyError> {
        self.finish_presented(verdict, &Presented::default())
    }

    /// As [`SignatureJob::finish`], for a token that came with a certificate or a proof.
    ///
    /// # Errors
    /// [`VerifyError::Signature`], [`VerifyError::Claim`] or [`VerifyError::Binding`].
    pub fn finish_presented(
        self,
        verdict: Verdict,
        presented: &Presented<'_>,
    ) -> Result<Verified, VerifyError> {
        let verified = self.finish_unbound(verdict)?;
        verified.check_binding(presented)?;
        Ok(verified)
    }

    /// As [`SignatureJob::finish`], leaving to the caller what [`Verified::check_binding`] does.
    pub(crate) fn finish_unbound(self, verdict: Verdict) -> Result<Verified, VerifyError> {
        if verdict != Verdict::Valid {
            return Err(VerifyError::Signature);
        }
        self.rules.check(&self.claims, self.now)?;
        let confirmation = self.claims.confirmation()?;
        Ok(Verified::new(
            self.header,
            self.claims,
            self.rules,
            confirmation,
        ))
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

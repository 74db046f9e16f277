use thiserror::Error;

use crate::binding::BindingError;
use crate::claims::ClaimError;
use crate::jose::JoseError;

/// Why a token was not verified.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// The token is not an acceptable JWS.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// Several tokens where one has to be: servers would take one or another.
    #[error("request has several tokens in one place")]
    SeveralTokens,
    /// `typ` names another kind of token (RFC 8725 section 3.11).
    #[error("token type `{0}` is not an access token")]
    TypeRefused(String),
    /// The header has no `kid` and the profile needs one.
    #[error("token header has no `kid`")]
    KidMissing,
    /// `kid` is not an RFC 7638 thumbprint and the profile needs one.
    #[error("token header `kid` is not an RFC 7638 thumbprint")]
    KidMalformed,
    /// `iss` names no configured issuer.
    #[error("issuer `{0}` is not accepted")]
    IssuerRefused(String),
    /// No key of the issuer has this `kid`.
    #[error("no key of the issuer has the token's `kid`")]
    UnknownKid {
        /// The issuer.
        issuer: String,
        /// The `kid`, as long as the header may be; empty when there is none.
        kid: String,
    },
    /// No keys of the issuer are loaded.
    #[error("no keys of issuer `{0}` are loaded")]
    KeysUnavailable(String),
    /// The key found is bound to another algorithm, type or curve.
    #[error("the token's key does not allow algorithm `{0}`")]
    KeyAlgorithm(String),
    /// The key has no in-process implementation; the shell checks it elsewhere.
    #[error("the token's key cannot be used by this provider")]
    KeyUnusable,
    /// The signature does not verify.
    #[error("signature is not valid")]
    Signature,
    /// A claim is missing, has the wrong type, or says no.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The token was not shown to be the caller's own.
    #[error(transparent)]
    Binding(#[from] BindingError),
}

impl VerifyError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::Jose(error) => error.code(),
            VerifyError::SeveralTokens => "token_malformed",
            VerifyError::TypeRefused(_) => "typ_refused",
            VerifyError::KidMissing => "kid_missing",
            VerifyError::KidMalformed => "kid_malformed",
            VerifyError::IssuerRefused(_) => "issuer_refused",
            VerifyError::UnknownKid { .. } => "kid_unknown",
            VerifyError::KeysUnavailable(_) => "keys_unavailable",
            VerifyError::KeyAlgorithm(_) => "key_alg_mismatch",
            VerifyError::KeyUnusable => "key_unusable",
            VerifyError::Signature => "signature_invalid",
            VerifyError::Claim(error) => error.code(),
            VerifyError::Binding(error) => error.code(),
        }
    }

    /// The `error` of a challenge that answers this (RFC 6750 section 3.1, RFC 9470 section 3,
    /// RFC 9449 section 7.1).
    ///
    /// ```
    /// use tokensmith_engine::claims::ClaimError;
    /// use tokensmith_engine::verify::VerifyError;
    /// assert_eq!(VerifyError::Signature.bearer_error(), "invalid_token");
    /// assert_eq!(
    ///     VerifyError::Claim(ClaimError::AuthLevel).bearer_error(),
    ///     "insufficient_user_authentication"
    /// );
    /// ```
    pub fn bearer_error(&self) -> &'static str {
        match self {
            VerifyError::Claim(ClaimError::AuthLevel | ClaimError::TooFewFactors(_)) => {
                "insufficient_user_authentication"
            }
            VerifyError::Binding(error) => error.challenge_error(),
            _ => "invalid_token",
        }
    }

    /// Until when (Unix seconds) a token refused at `now` is refused whatever happens, if its
    /// keys stay: what cost a signature check is not worth another one soon.
    pub fn refused_until(&self, now: i64) -> Option<i64> {
        const SECONDS: i64 = 10;
        match self {
            VerifyError::Signature
            | VerifyError::Claim(
                ClaimError::Missing(_)
                | ClaimError::Required(_)
                | ClaimError::Audience
                | ClaimError::Expired
                | ClaimError::SessionExpired
                | ClaimError::SessionTooLong
                | ClaimError::TooFewFactors(_)
                | ClaimError::AuthLevel
                | ClaimError::LifetimeTooLong(_)
                | ClaimError::TokenUse(_),
            ) => Some(now.saturating_add(SECONDS)),
            _ => None,
        }
    }
}

use thiserror::Error;

/// Why a token's claims were refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClaimError {
    /// The payload is not a strict JSON object.
    #[error("token payload is not a valid JSON object: {0}")]
    Payload(String),
    /// A claim has another JSON type than its definition.
    #[error("claim `{0}` has the wrong type")]
    Type(&'static str),
    /// A required claim is absent or empty.
    #[error("claim `{0}` is required")]
    Missing(&'static str),
    /// `aud` has none of the expected audiences.
    #[error("token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("token is issued in the future")]
    IssuedInFuture,
    /// `session_exp` has passed.
    #[error("session has expired")]
    SessionExpired,
    /// `session_exp` is more than 24 hours after `iat`.
    #[error("session is longer than 24 hours")]
    SessionTooLong,
    /// Fewer authentication factors than are needed.
    #[error("token has fewer than {0} authentication factors")]
    TooFewFactors(u32),
    /// `auth_level` is below what is required, or on another scale.
    #[error("authentication level is below the one required")]
    AuthLevel,
    /// More time between `iat` and `exp` than is allowed.
    #[error("token lasts longer than {0} seconds")]
    LifetimeTooLong(u32),
    /// A claim that the configuration requires is absent or `null`.
    #[error("claim `{0}` is required")]
    Required(String),
    /// `token_use` names another use than access.
    #[error("token use `{0}` is not access")]
    TokenUse(String),
}

impl ClaimError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ClaimError::Payload(_) => "token_malformed",
            ClaimError::Type(_) => "claim_type",
            ClaimError::Missing(_) | ClaimError::Required(_) => "claim_missing",
            ClaimError::Audience => "audience_mismatch",
            ClaimError::Expired => "token_expired",
            ClaimError::NotYetValid => "token_not_yet_valid",
            ClaimError::IssuedInFuture => "token_issued_in_future",
            ClaimError::SessionExpired => "session_expired",
            ClaimError::SessionTooLong => "session_too_long",
            ClaimError::TooFewFactors(_) => "auth_factors_too_few",
            ClaimError::AuthLevel => "auth_level_too_low",
            ClaimError::LifetimeTooLong(_) => "lifetime_too_long",
            ClaimError::TokenUse(_) => "token_use_refused",
        }
    }
}

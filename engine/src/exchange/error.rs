use thiserror::Error;

/// Why a token was not exchanged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExchangeError {
    /// The upstream token lacks a claim that an issued token has, and there is no default for it.
    #[error(
        "the identity token has no usable claim `{0}`: have the provider send it, or set it in `claimDefaults`"
    )]
    Claim(String),
    /// A requested scope is not granted (RFC 6749 section 5.2).
    #[error("scope `{0}` is not granted to this caller")]
    Scope(String),
    /// A requested target is none of the audiences tokens are issued for (RFC 8693 section 2.2.2).
    #[error("tokens for target `{0}` are not issued here")]
    Target(String),
    /// The user authenticated with fewer factors than tokens need.
    #[error("the user authenticated with {0} factors, 2 are needed")]
    Factors(u64),
    /// The upstream token or session ends before a token could be used.
    #[error("the identity token's session has ended")]
    SessionEnded,
}

impl ExchangeError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ExchangeError::Claim(_) => "claim_missing",
            ExchangeError::Scope(_) => "invalid_scope",
            ExchangeError::Target(_) => "invalid_target",
            ExchangeError::Factors(_) => "auth_factors_too_few",
            ExchangeError::SessionEnded => "session_ended",
        }
    }
}

use thiserror::Error;
use tokensmith_engine::keys::FetchError;
use tokensmith_engine::verify::VerifyError;

/// Why an ID token was not verified.
#[derive(Debug, Error)]
pub enum OidcError {
    /// The issuer's URL cannot be used.
    #[error("`{url}` is not a usable OIDC URL: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
    /// The provider did not answer.
    #[error("cannot get `{url}`: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The provider's metadata is not that of the configured issuer (OpenID Connect Discovery
    /// section 4.3).
    #[error("discovery document `{url}`: {reason}")]
    Discovery {
        /// The document.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider's keys are not usable.
    #[error("keys of the OIDC provider: {0}")]
    Keys(#[from] FetchError),
    /// There are no keys, and it is too early to ask again.
    #[error("the OIDC provider's keys are not available")]
    NoKeys,
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The token was issued to another client (OpenID Connect Core section 3.1.3.7).
    #[error("`azp` is not the configured client")]
    AuthorizedParty,
}

impl OidcError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            OidcError::Url { .. } => "oidc_url",
            OidcError::Client(_) => "oidc_client",
            OidcError::Unreachable { .. } => "oidc_unreachable",
            OidcError::Discovery { .. } => "oidc_discovery",
            OidcError::Keys(_) => "oidc_keys",
            OidcError::NoKeys => "keys_unavailable",
            OidcError::Token(error) => error.code(),
            OidcError::AuthorizedParty => "azp_mismatch",
        }
    }

    /// Whether the token is to blame, rather than the provider or the configuration.
    pub fn is_about_token(&self) -> bool {
        match self {
            OidcError::Token(error) => !matches!(error, VerifyError::KeysUnavailable(_)),
            OidcError::AuthorizedParty => true,
            _ => false,
        }
    }
}

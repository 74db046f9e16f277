use thiserror::Error;
use tokensmith_engine::keys::FetchError;
use tokensmith_engine::oidc::ProviderTokenError;
use tokensmith_engine::verify::VerifyError;

/// Why a provider's token was not verified, or a provider is not used.
#[derive(Debug, Error)]
pub enum OidcError {
    /// A URL cannot be used.
    #[error("`{url}` is not a usable OIDC URL: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client's id cannot be used.
    #[error("the OIDC client id is empty: give the one that tokens are issued to")]
    ClientId,
    /// The file of authorities cannot be used.
    #[error("authorities of the OIDC provider `{path}`: {reason}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
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
    /// An opaque access token, and nobody to ask about it.
    #[error("opaque access tokens are not accepted here: {0}")]
    NoIntrospection(&'static str),
    /// The provider does not tell the service about tokens (RFC 7662 section 2.3).
    #[error("the OIDC provider refuses to introspect tokens for the configured client: {0}")]
    IntrospectionRefused(String),
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The token is good, and another than was asked for.
    #[error(transparent)]
    Rules(#[from] ProviderTokenError),
    /// There is a provider, and it was not said that another may take its place.
    #[error("provider `{0}` is configured already: say that it is to be replaced")]
    Exists(String),
    /// Another change came first.
    #[error("the OIDC provider was changed at the same time: look at it and try again")]
    Conflict,
}

impl OidcError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            OidcError::Url { .. } => "oidc_url",
            OidcError::ClientId => "oidc_client_id",
            OidcError::Authorities { .. } => "oidc_ca",
            OidcError::Client(_) => "oidc_client",
            OidcError::Unreachable { .. } => "oidc_unreachable",
            OidcError::Discovery { .. } => "oidc_discovery",
            OidcError::Keys(_) => "oidc_keys",
            OidcError::NoKeys => "keys_unavailable",
            OidcError::NoIntrospection(_) => "introspection_unconfigured",
            OidcError::IntrospectionRefused(_) => "introspection_refused",
            OidcError::Token(error) => error.code(),
            OidcError::Rules(error) => error.code(),
            OidcError::Exists(_) => "oidc_exists",
            OidcError::Conflict => "oidc_conflict",
        }
    }

    /// Whether the token is to blame, rather than the provider or the configuration.
    pub fn is_about_token(&self) -> bool {
        match self {
            OidcError::Token(error) => !matches!(error, VerifyError::KeysUnavailable(_)),
            OidcError::Rules(error) => error.is_about_token(),
            OidcError::NoIntrospection(_) => true,
            _ => false,
        }
    }

    /// Whether the token may be a guess: only the provider knows which opaque tokens there are.
    pub fn is_unknown_token(&self) -> bool {
        matches!(self, OidcError::Rules(ProviderTokenError::Inactive))
    }
}

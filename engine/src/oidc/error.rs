use thiserror::Error;

use crate::binding::BindingError;
use crate::claims::ClaimError;

/// Why a provider's token is not the one that was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProviderTokenError {
    /// The ID token was issued to another client (OpenID Connect Core section 3.1.3.7).
    #[error("`azp` is not the configured client")]
    AuthorizedParty,
    /// The ID token is the answer to another request (OpenID Connect Core section 3.1.3.7).
    #[error("`nonce` is not that of the request")]
    Nonce,
    /// The ID token was not issued together with the access token (OpenID Connect Core section
    /// 3.1.3.8).
    #[error("`at_hash` is not that of the access token")]
    AccessTokenHash,
    /// An ID token was asked for.
    #[error("the token is no ID token: {0}")]
    NotIdToken(&'static str),
    /// An access token was asked for.
    #[error("the token is no access token: {0}")]
    NotAccessToken(&'static str),
    /// The provider says that the token is not good (RFC 7662 section 2.2).
    #[error("the provider says that the token is not active")]
    Inactive,
    /// The answer to an introspection is not one (RFC 7662 section 2.2).
    #[error("the provider's answer to the introspection of the token is not usable: {0}")]
    Introspection(String),
    /// A claim of an introspected token.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// An introspected token is bound to a certificate or a key.
    #[error(transparent)]
    Binding(#[from] BindingError),
}

impl ProviderTokenError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ProviderTokenError::AuthorizedParty => "azp_mismatch",
            ProviderTokenError::Nonce => "nonce_mismatch",
            ProviderTokenError::AccessTokenHash => "at_hash_mismatch",
            ProviderTokenError::NotIdToken(_) => "not_an_id_token",
            ProviderTokenError::NotAccessToken(_) => "not_an_access_token",
            ProviderTokenError::Inactive => "token_inactive",
            ProviderTokenError::Introspection(_) => "introspection_malformed",
            ProviderTokenError::Claim(error) => error.code(),
            ProviderTokenError::Binding(error) => error.code(),
        }
    }

    /// Whether the token is to blame, rather than the provider.
    pub fn is_about_token(&self) -> bool {
        !matches!(self, ProviderTokenError::Introspection(_))
    }
}

use std::fmt;
use std::pin::Pin;

use tokensmith_engine::claims::Claims;
use tokensmith_engine::oidc::TokenKind;

use super::OidcError;

/// Who says who users are. [`super::OidcProvider`] is one; another one is put into use with
/// [`super::ProviderHandle::swap`].
///
/// ```
/// use tokensmith::oidc::{
///     IdentityProvider, OidcError, Presented, ProviderMetrics, Verification,
/// };
///
/// #[derive(Debug)]
/// struct Closed;
///
/// impl IdentityProvider for Closed {
///     fn issuer(&self) -> &str {
///         "https://closed.example"
///     }
///     fn verify<'p>(&'p self, _: Presented<'p>) -> Verification<'p> {
///         Box::pin(async { Err(OidcError::NoKeys) })
///     }
///     fn metrics(&self) -> ProviderMetrics {
///         ProviderMetrics::default()
///     }
/// }
/// ```
pub trait IdentityProvider: fmt::Debug + Send + Sync {
    /// Its issuer.
    fn issuer(&self) -> &str;

    /// Verifies a token of the provider.
    ///
    /// # Errors
    /// [`OidcError`]; [`OidcError::is_about_token`] tells bad tokens from a provider that does not
    /// answer.
    fn verify<'p>(&'p self, presented: Presented<'p>) -> Verification<'p>;

    /// What it counted.
    fn metrics(&self) -> ProviderMetrics;

    /// Seconds after which asking again may help.
    fn retry_after(&self) -> i64 {
        5
    }
}

/// A verification that is under way.
pub type Verification<'p> = Pin<Box<dyn Future<Output = Result<Identity, OidcError>> + Send + 'p>>;

/// A token that a caller presents.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'p> {
    /// The token.
    pub token: &'p str,
    /// What it is said to be.
    pub expected: ExpectedToken,
    /// `nonce` that the ID token has to have.
    pub nonce: Option<&'p str>,
    /// The access token that the ID token has to have been issued with.
    pub access_token: Option<&'p str>,
}

/// What a token is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedToken {
    /// An ID token.
    IdToken,
    /// An access token, a JWT or opaque.
    AccessToken,
    /// A JWT, an ID token or an access token.
    Jwt,
    /// Whatever it turns out to be.
    Any,
}

/// Who the provider says that the caller is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The token's verified claims, or the provider's answer about it.
    pub claims: Claims,
    /// What the token turned out to be.
    pub kind: TokenKind,
}

/// What a provider counted since it came into use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderMetrics {
    /// Fetches of its keys that brought some, or that they have not changed.
    pub fetches: u64,
    /// Fetches of its keys that failed.
    pub failed_fetches: u64,
    /// Tokens that it was asked about and answered for.
    pub introspections: u64,
    /// Tokens that it was asked about in vain.
    pub failed_introspections: u64,
}

impl<'p> Presented<'p> {
    /// A token that comes alone.
    pub fn new(token: &'p str, expected: ExpectedToken) -> Self {
        Self {
            token,
            expected,
            nonce: None,
            access_token: None,
        }
    }
}

impl ExpectedToken {
    /// Which rules a token has to pass that seems to be of the kind `presumed`. `introspects`:
    /// whether opaque tokens can be asked about.
    pub(super) fn resolve(self, presumed: TokenKind, introspects: bool) -> TokenKind {
        match (self, presumed) {
            (ExpectedToken::IdToken, _) => TokenKind::IdToken,
            (ExpectedToken::AccessToken, TokenKind::OpaqueAccessToken) => presumed,
            (ExpectedToken::AccessToken, _) => TokenKind::JwtAccessToken,
            // Its verification says what is wrong with it.
            (ExpectedToken::Jwt, TokenKind::OpaqueAccessToken) => TokenKind::IdToken,
            (ExpectedToken::Any, TokenKind::OpaqueAccessToken) if !introspects => {
                TokenKind::IdToken
            }
            (ExpectedToken::Jwt | ExpectedToken::Any, _) => presumed,
        }
    }
}

impl ProviderMetrics {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            fetches: self.fetches.saturating_add(other.fetches),
            failed_fetches: self.failed_fetches.saturating_add(other.failed_fetches),
            introspections: self.introspections.saturating_add(other.introspections),
            failed_introspections: self
                .failed_introspections
                .saturating_add(other.failed_introspections),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_is_said_to_be_chooses_its_rules() {
        use ExpectedToken::{AccessToken, Any, IdToken, Jwt};
        let (id, jwt, opaque) = (
            TokenKind::IdToken,
            TokenKind::JwtAccessToken,
            TokenKind::OpaqueAccessToken,
        );
        for (expected, presumed, introspects, kind) in [
            (IdToken, jwt, true, id),
            (IdToken, opaque, true, id),
            (AccessToken, id, true, jwt),
            (AccessToken, opaque, false, opaque),
            (Jwt, jwt, true, jwt),
            (Jwt, opaque, true, id),
            (Any, id, true, id),
            (Any, opaque, true, opaque),
            (Any, opaque, false, id),
        ] {
            assert_eq!(
                expected.resolve(presumed, introspects),
                kind,
                "{expected:?} {presumed:?}"
            );
        }
    }
}

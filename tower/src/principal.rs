use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use serde_json::{Map, Value};
use tokensmith_engine::decide::Identity;

/// Who the caller is, by a verified token: in the extensions of each request that is handed on
/// with one. With the feature `axum` an extractor; `Option<Principal>` on routes that do not need
/// a token.
///
/// In tonic: `request.extensions().get::<Principal>()`.
#[derive(Clone)]
pub struct Principal {
    identity: Arc<Identity>,
    /// Whose layers verified it.
    verified_by: u64,
    /// The request before tokens were cut out of it, if any were.
    before: Option<Arc<Before>>,
}

/// A request's URI and headers.
pub(crate) struct Before {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

/// The claims that [`tokensmith_engine::decide::Config::filter_state`] names, as they were
/// verified. With the feature `axum` an extractor.
#[derive(Clone)]
pub struct VerifiedClaims(Arc<Identity>);

impl Principal {
    pub(crate) fn new(
        identity: Arc<Identity>,
        verified_by: u64,
        before: Option<Arc<Before>>,
    ) -> Self {
        Self {
            identity,
            verified_by,
            before,
        }
    }

    /// `sub`.
    pub fn id(&self) -> &str {
        self.identity.principal().id()
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        self.identity.issuer()
    }

    /// Whether it is a service, not a user.
    pub fn is_service(&self) -> bool {
        self.identity.principal().principal_type().name() == "service"
    }

    /// Roles without the prefix `role:`.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.identity.principal().roles()
    }

    /// Scopes in the token's order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.identity.principal().scopes()
    }

    /// Whether it has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Whether it has a scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|own| own == scope)
    }

    /// Everything the engine knows of it.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The claims that the configuration names.
    pub fn claims(&self) -> VerifiedClaims {
        VerifiedClaims(Arc::clone(&self.identity))
    }

    pub(crate) fn is_verified_by(&self, id: u64) -> bool {
        self.verified_by == id
    }

    pub(crate) fn before(&self) -> Option<&Arc<Before>> {
        self.before.as_ref()
    }
}

impl VerifiedClaims {
    /// A claim; one inside of another under both names with a `.` between them.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all().get(name)
    }

    /// All that the configuration names and the token has.
    pub fn all(&self) -> &Map<String, Value> {
        self.0.exported_claims()
    }
}

// Neither shows claims or tokens.
impl fmt::Debug for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Principal")
            .field("id", &self.id())
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VerifiedClaims(..)")
    }
}

#[cfg(feature = "axum")]
pub use extractors::NoPrincipal;

#[cfg(feature = "axum")]
mod extractors {
    use std::convert::Infallible;

    use axum::extract::{FromRequestParts, OptionalFromRequestParts};
    use axum::response::{IntoResponse, Response};
    use http::StatusCode;
    use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
    use http::request::Parts;

    use super::{Principal, VerifiedClaims};

    /// There is no verified token: the route is public, or has no layer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct NoPrincipal;

    impl IntoResponse for NoPrincipal {
        fn into_response(self) -> Response {
            let headers = [
                (WWW_AUTHENTICATE, r#"Bearer realm="tokensmith""#),
                (CACHE_CONTROL, "no-store"),
            ];
            (
                StatusCode::UNAUTHORIZED,
                headers,
                "authentication required\n",
            )
                .into_response()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for Principal {
        type Rejection = NoPrincipal;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NoPrincipal> {
            parts.extensions.get::<Self>().cloned().ok_or(NoPrincipal)
        }
    }

    impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
        type Rejection = Infallible;

        async fn from_request_parts(
            parts: &mut Parts,
            _state: &S,
        ) -> Result<Option<Self>, Infallible> {
            Ok(parts.extensions.get::<Self>().cloned())
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for VerifiedClaims {
        type Rejection = NoPrincipal;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NoPrincipal> {
            let principal = parts.extensions.get::<Principal>();
            principal.map(Principal::claims).ok_or(NoPrincipal)
        }
    }
}

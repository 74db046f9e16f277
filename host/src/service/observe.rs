use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::Service;
use crate::random;
use crate::telemetry::RequestSpan;

/// The paths that [`super::router`] serves: labels of metrics, so nothing a caller made up.
const ROUTES: [&str; 19] = [
    "/health",
    "/ready",
    "/metrics",
    "/openapi.json",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/policy/bundle",
    "/oauth/exchange",
    "/oauth/token",
    "/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/service-identity/session",
    "/ui",
    "/ui/",
    "/ui/service.json",
    "/ui/{file}",
    "/ui/verifier/{file}",
    "/admin/oidc/config",
];
/// The label of whatever else was asked for.
const OTHER: &str = "other";

const REQUEST_ID: &str = "x-request-id";
/// A longer one from outside is not taken over.
const MAX_REQUEST_ID: usize = 64;

/// What a request is called in logs and in the answer's `X-Request-Id`.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// Names and traces a request, and counts and measures its answer.
pub(super) async fn observe(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let route = route(request.uri().path());
    let method = method(request.method());
    let id = RequestId::of(request.headers());
    let span = RequestSpan::start(request.headers(), method, route, &id.0);
    request.extensions_mut().insert(id.clone());
    let mut response = span.around(next.run(request)).await;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    service.metrics.request(
        route.unwrap_or(OTHER),
        method.unwrap_or(OTHER),
        status,
        started.elapsed(),
    );
    span.end(status);
    response
}

impl RequestId {
    /// The caller's, if it is one that no log can be confused by, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()))
            .filter(|id| {
                id.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            });
        Self(match given {
            Some(id) => id.to_owned(),
            None => random::identifier().unwrap_or_else(|_| "none".to_owned()),
        })
    }
}

fn route(path: &str) -> Option<&'static str> {
    let named = ROUTES.into_iter().find(|route| *route == path);
    named.or_else(|| match path.rsplit_once('/') {
        // Files of the inspector count together.
        Some(("/ui", _)) => Some("/ui/{file}"),
        Some(("/ui/verifier", _)) => Some("/ui/verifier/{file}"),
        _ => None,
    })
}

fn method(method: &Method) -> Option<&'static str> {
    match *method {
        Method::GET => Some("GET"),
        Method::HEAD => Some("HEAD"),
        Method::POST => Some("POST"),
        Method::OPTIONS => Some("OPTIONS"),
        _ => None,
    }
}

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

#[cfg(feature = "ui")]
use super::inspector_ui;
use super::oauth_error::OauthError;
use super::observe::observe;
use super::{
    Service, identity_exchange, introspection, metrics_endpoint, oidc_admin, policy_bundle,
    revocation, token,
};
use crate::listener::Peer;

/// No request of these endpoints needs more.
const MAX_BODY: usize = 64 * 1024;

/// The public endpoints. A new one is to be in [`super::observe`] too.
pub(super) fn public(service: Arc<Service>) -> Router {
    let router = Router::new()
        .route("/openapi.json", get(openapi))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_endpoint::metrics))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/policy/bundle", get(policy_bundle::policy_bundle))
        .route("/oauth/exchange", post(identity_exchange::exchange))
        .route("/oauth/token", post(token::token))
        .route("/token", post(token::token))
        .route("/oauth/revoke", post(revocation::revoke))
        .route("/oauth/introspect", post(introspection::introspect))
        .route("/service-identity/session", post(token::session));
    #[cfg(feature = "ui")]
    let router = router
        .route("/ui", get(inspector_ui::to_folder))
        .route("/ui/", get(inspector_ui::file))
        .route("/ui/service.json", get(inspector_ui::service))
        .route("/ui/{file}", get(inspector_ui::file))
        .route("/ui/verifier/{file}", get(inspector_ui::file));
    finished(router, service)
}

/// The endpoints for whoever administers this machine. They are served on a listener of their
/// own, and no header of a request makes it one of theirs.
pub(super) fn admin(service: Arc<Service>) -> Router {
    let router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_endpoint::metrics))
        .route(
            "/admin/oidc/config",
            get(oidc_admin::show).post(oidc_admin::configure),
        );
    finished(router.layer(from_fn(for_this_machine)), service)
}

/// Keeps pages out that a browser on this machine shows: they send `Origin`, or come under a name
/// that was made to lead here.
async fn for_this_machine(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let by_socket = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.socket.is_none());
    let host = request
        .uri()
        .host()
        .map(str::to_owned)
        .or_else(|| headers.get(header::HOST)?.to_str().ok().map(str::to_owned));
    let named = host.is_some_and(|host| is_this_machine(&host));
    if headers.contains_key(header::ORIGIN) || !(by_socket || named) {
        return OauthError::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            "the admin endpoints are for programs on this machine, under a loopback name",
        )
        .into_response();
    }
    next.run(request).await
}

/// Whether a `Host` names this machine, with a port or without.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn finished(router: Router<Arc<Service>>, service: Arc<Service>) -> Router {
    router
        .method_not_allowed_fallback(async || {
            OauthError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "invalid_request",
                "this endpoint has another method",
            )
        })
        .fallback(async || {
            OauthError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no such endpoint",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(&service), observe))
        .with_state(service)
}

/// The process runs; says what it was started with.
async fn health(State(service): State<Arc<Service>>) -> Response {
    let settings = &service.settings;
    let oidc = service.oidc.describe();
    Json(json!({
        "status": "healthy",
        "service": "tokensmith",
        "version": env!("CARGO_PKG_VERSION"),
        "issuer": settings.issuer,
        "cluster_id": settings.cluster_id,
        "openchami_id": settings.openchami_id,
        "oidc_issuer": oidc.as_ref().map_or("", |own| own.client.issuer.as_str()),
        "oidc_origin": oidc.as_ref().map_or("", |own| own.origin.name()),
        "service_identity_ca_configured": settings.takes_client_certificates(),
        "policy_version": service.policy.version(),
    }))
    .into_response()
}

/// The process can do its work.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    let _timer = service.metrics.store_timer("ping");
    match service.store.ping().await {
        Ok(()) => Json(json!({"status": "ready"})).into_response(),
        Err(error) => OauthError::from(error).into_response(),
    }
}

async fn jwks(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    service.keys.current().jwks.answer(&headers)
}

async fn openapi(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    service.openapi.answer(&headers)
}

async fn metadata(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    service.metadata.answer(&headers)
}

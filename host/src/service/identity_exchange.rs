use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use tokensmith_engine::exchange::{UserTokenRequest, user_claims};

use super::Service;
use super::audit::Caller;
use super::credentials::bearer;
use super::oauth_error::OauthError;
use super::observe::RequestId;
use crate::audit::AuditEvent;
use crate::clock::unix_now;

/// The optional JSON body.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    scope: Option<Scope>,
    target_service: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    List(Vec<String>),
    Text(String),
}

/// `POST /oauth/exchange`: an ID token for a TokenSmith token.
pub(super) async fn exchange(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let caller = Caller {
        peer: peer.ip(),
        request,
    };
    let answer = issue(&service, &caller, &headers, body).await;
    let outcome = answer.as_ref().map_or_else(OauthError::code, |_| "issued");
    service.metrics.issuance("identity_token", outcome);
    answer
}

async fn issue(
    service: &Service,
    caller: &Caller,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let token = bearer(headers, "ID token")?;
    let body = body
        .map_err(|error| OauthError::new(error.status(), "invalid_request", error.body_text()))?;
    let request = request(&body)?;
    let oidc = service.oidc.as_ref().ok_or_else(|| {
        OauthError::unavailable("no OIDC provider is configured", 60)
            .with_code("oidc_not_configured")
    })?;
    let verified = oidc.verify(token).await.map_err(|error| {
        if error.is_about_token() {
            service.auditor.refused(
                AuditEvent::Denied,
                "authentication_failed",
                caller,
                error.code(),
            );
            OauthError::unauthorized("invalid_token", error.to_string())
        } else {
            tracing::warn!(%error, "cannot check an identity token");
            OauthError::unavailable("the OIDC provider cannot be reached", oidc.retry_after())
        }
        .with_code(error.code())
    })?;
    let minted = service
        .mint(|issuance| user_claims(&verified, &service.rules, &request, issuance))
        .inspect_err(|error| {
            service
                .auditor
                .refused(AuditEvent::Denied, "exchange_refused", caller, error.code());
        })?;
    service
        .auditor
        .issued(AuditEvent::Exchange, "identity_exchanged", caller, &minted)?;
    let exp = minted.claims.get("exp").and_then(serde_json::Value::as_i64);
    let answer = json!({
        "access_token": minted.token,
        "token_type": "Bearer",
        "expires_in": exp.unwrap_or(0).saturating_sub(unix_now()).max(0),
        "issued_token_type": super::token_endpoint::ISSUED_TOKEN_TYPE,
        "scope": scope_text(&minted.claims),
    });
    Ok((no_store(), Json(answer)).into_response())
}

/// `scope` as RFC 6749 writes it.
pub(super) fn scope_text(claims: &serde_json::Map<String, serde_json::Value>) -> String {
    let scopes = claims.get("scope").and_then(serde_json::Value::as_array);
    let scopes: Vec<&str> = scopes
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .collect();
    scopes.join(" ")
}

/// Answers with tokens are nobody's to keep (RFC 6749 section 5.1).
pub(super) fn no_store() -> [(header::HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

fn request(body: &[u8]) -> Result<UserTokenRequest, OauthError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(UserTokenRequest::default());
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        OauthError::invalid_request(format!("the body is not the JSON expected: {error}"))
    })?;
    Ok(UserTokenRequest {
        scopes: body.scope.map(|scope| match scope {
            Scope::List(list) => list,
            Scope::Text(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        }),
        target: body.target_service.filter(|target| !target.is_empty()),
    })
}

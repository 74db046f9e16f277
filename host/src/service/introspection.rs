use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Map, Value, json};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::verify::VerifyError;

use super::Service;
use super::audit::Caller;
use super::credentials::bearer;
use super::form::Form;
use super::identity_exchange::no_store;
use super::oauth_error::OauthError;
use super::observe::RequestId;
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::store::OpaqueDigest;

/// Either scope of the caller's token allows it to ask.
const SCOPES: [&str; 2] = ["introspect", "admin"];

/// Claims that are told as they are (RFC 7662 section 2.2, RFC 8693 section 4, RFC 7800).
const TOLD: [&str; 10] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "cnf",
    "act",
];

/// `POST /oauth/introspect` (RFC 7662): whether a token is active, and what it says.
pub(super) async fn introspect(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let now = unix_now();
    let caller = Caller {
        peer: peer.ip(),
        request,
    };
    if let Some(seconds) = service.limiter.wait(caller.peer, now) {
        return Err(OauthError::too_many_requests(seconds));
    }
    authorize(&service, &caller, &headers, now).await?;
    let form = Form::read(&headers, body)?;
    let token = form.required("token")?;
    let told = if token.contains('.') {
        access_token(&service, token, now).await?
    } else {
        refresh_token(&service, token, now).await?
    };
    // Why a token is not active is not the caller's to know (section 2.2).
    let answer = told.unwrap_or_else(|| json!({"active": false}));
    Ok((no_store(), Json(answer)).into_response())
}

/// The caller shows an active access token of this service with one of [`SCOPES`] (section 2.1).
async fn authorize(
    service: &Service,
    caller: &Caller,
    headers: &HeaderMap,
    now: i64,
) -> Result<(), OauthError> {
    let token = bearer(headers, "access token")?;
    let denied = |code: &'static str| {
        service
            .auditor
            .refused(AuditEvent::Denied, "introspection_refused", caller, code);
    };
    let refused = |code: &'static str, is_guess: bool| {
        denied(code);
        // A token of ours that has ended was not guessed.
        if is_guess {
            service.limiter.failed(caller.peer, now);
        }
        OauthError::unauthorized("invalid_token", "the caller's access token is not valid")
            .with_code(code)
    };
    let claims = service
        .own_tokens
        .verify(token, now)
        .map_err(|error| refused(error.code(), !matches!(error, VerifyError::Claim(_))))?;
    if !is_active(service, &claims, now).await? {
        return Err(refused("token_inactive", false));
    }
    // A bound token that comes alone is not shown to be the caller's (RFC 7800 section 3).
    if claims.all().contains_key("cnf") {
        return Err(refused("token_bound", false));
    }
    if !claims.scopes().any(|scope| SCOPES.contains(&scope)) {
        denied("insufficient_scope");
        return Err(OauthError::insufficient_scope(
            "the caller's access token has neither scope `introspect` nor `admin`",
        ));
    }
    Ok(())
}

async fn is_active(service: &Service, claims: &Claims, now: i64) -> Result<bool, OauthError> {
    // Verification has leeway for other machines' clocks; what has ended by this one has ended.
    let ended = |end: Option<i64>| end.is_some_and(|end| end <= now);
    if ended(claims.exp()) || ended(claims.session_exp()) {
        return Ok(false);
    }
    // Without `jti` it could not be revoked, and none is issued so.
    let Some(jti) = claims.string("jti") else {
        return Ok(false);
    };
    let _timer = service.metrics.store_timer("introspect");
    let session_id = claims.string("session_id").unwrap_or_default();
    Ok(!service.store.is_revoked(jti, session_id).await?)
}

async fn access_token(
    service: &Service,
    token: &str,
    now: i64,
) -> Result<Option<Value>, OauthError> {
    let Ok(claims) = service.own_tokens.verify(token, now) else {
        return Ok(None);
    };
    if !is_active(service, &claims, now).await? {
        return Ok(None);
    }
    let mut told = Map::new();
    told.insert("active".to_owned(), true.into());
    for name in TOLD {
        if let Some(value) = claims.all().get(name) {
            told.insert(name.to_owned(), value.clone());
        }
    }
    let scopes: Vec<&str> = claims.scopes().collect();
    if !scopes.is_empty() {
        told.insert("scope".to_owned(), scopes.join(" ").into());
    }
    // RFC 9449 section 6.2.
    let bound_to_key = claims
        .all()
        .get("cnf")
        .is_some_and(|cnf| cnf.get("jkt").is_some());
    let token_type = if bound_to_key { "DPoP" } else { "Bearer" };
    told.insert("token_type".to_owned(), token_type.into());
    Ok(Some(Value::Object(told)))
}

async fn refresh_token(
    service: &Service,
    token: &str,
    now: i64,
) -> Result<Option<Value>, OauthError> {
    let _timer = service.metrics.store_timer("introspect");
    let record = service
        .store
        .refresh_record(&OpaqueDigest::of(token), now)
        .await?;
    let Some(record) = record.filter(|record| record.active) else {
        return Ok(None);
    };
    Ok(Some(json!({
        "active": true,
        "iss": service.settings.issuer,
        "sub": record.subject,
        "aud": record.audience,
        "scope": record.scopes.join(" "),
        "iat": record.issued_at,
        "exp": record.expires_at,
        "token_type": "refresh_token",
        "session_id": record.family,
        "session_started_at": record.family_created_at,
    })))
}

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokensmith_engine::verify::VerifyError;

use super::Service;
use super::caller::Caller;
use super::credentials::bearer;
use super::form::Form;

use super::oauth_error::OauthError;
use super::token::no_store;
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
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let now = unix_now();
    service.admit(&caller, now).await?;
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
    let refused = |code: &'static str| {
        denied(code);
        OauthError::unauthorized("invalid_token", "the caller's access token is not valid")
            .with_code(code)
    };
    let claims = match service.own_tokens.verify(token, now) {
        Ok(claims) => claims,
        Err(error) => {
            // A token of ours that has ended was not guessed.
            if !matches!(error, VerifyError::Claim(_)) {
                service.attempt_failed(caller, now).await;
            }
            return Err(refused(error.code()));
        }
    };
    if !service.is_active(&claims, now).await? {
        return Err(refused("token_inactive"));
    }
    // A bound token that comes alone is not shown to be the caller's (RFC 7800 section 3).
    if !caller.shows(&claims) {
        return Err(refused("token_bound"));
    }
    if !claims.scopes().any(|scope| SCOPES.contains(&scope)) {
        denied("insufficient_scope");
        return Err(OauthError::insufficient_scope(
            "the caller's access token has neither scope `introspect` nor `admin`",
        ));
    }
    // A resource server has its callers' tokens too: those for others are not for asking here.
    let settings = &service.settings;
    let is_ours = |audience: &str| {
        audience == settings.issuer || settings.audiences.iter().any(|own| own == audience)
    };
    let for_us = claims.audiences().any(is_ours) || claims.scopes().any(|own| own == SCOPES[0]);
    if !for_us {
        return Err(refused("audience_mismatch"));
    }
    Ok(())
}

async fn access_token(
    service: &Service,
    token: &str,
    now: i64,
) -> Result<Option<Value>, OauthError> {
    let Ok(claims) = service.own_tokens.verify(token, now) else {
        return Ok(None);
    };
    if !service.is_active(&claims, now).await? {
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

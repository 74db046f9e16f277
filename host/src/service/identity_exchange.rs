use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tokensmith_engine::exchange::MappedUser;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::oidc::TokenKind;

use super::caller::Caller;
use super::credentials::bearer;
use super::oauth_error::OauthError;
use super::token::{Granted, of_identity};
use super::{Minted, Narrowing, Service};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::oidc::{ExpectedToken, IdentityProvider, OidcError, Presented};

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

/// `POST /oauth/exchange`: a token of the OpenID provider, as bearer, for a TokenSmith token.
pub(super) async fn exchange(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let exchanged = read_and_exchange(&service, &caller, &headers, body).await;
    let outcome = exchanged
        .as_ref()
        .map_or_else(OauthError::code, |_| "issued");
    service.metrics.issuance("identity_token", outcome);
    Ok(Granted::alone(exchanged?).answer(&service))
}

/// Who the OpenID provider says that its token is of, by way of the claim mapper if there is one.
///
/// # Errors
/// 503 without a provider, or when it cannot be asked; 401 for its bad tokens; 403 and 500 of the
/// claim mapper.
pub(super) async fn identity(
    service: &Service,
    caller: &Caller,
    presented: Presented<'_>,
) -> Result<MappedUser, OauthError> {
    let oidc = service.oidc.load().ok_or_else(|| {
        OauthError::unavailable("no OIDC provider is configured", 60)
            .with_code("oidc_not_configured")
    })?;
    let kind = TokenKind::presumed(presented.token, &Limits::default());
    if kind == TokenKind::OpaqueAccessToken {
        service.admit(caller, unix_now()).await?;
    }
    match oidc.verify(presented).await {
        Ok(identity) => service.mapped(caller, identity.claims),
        Err(error) => Err(not_verified(service, caller, &*oidc, &error).await),
    }
}

async fn read_and_exchange(
    service: &Service,
    caller: &Caller,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Minted, OauthError> {
    let token = bearer(headers, "ID token")?;
    let body = body
        .map_err(|error| OauthError::new(error.status(), "invalid_request", error.body_text()))?;
    let request = request(&body)?;
    let presented = Presented::new(token, ExpectedToken::Any);
    let identity = identity(service, caller, presented).await?;
    let minted = of_identity(service, caller, None, None, &identity, request);
    minted.inspect_err(|error| {
        if error.is_recorded() {
            return;
        }
        let event = AuditEvent::Denied;
        service
            .auditor
            .refused(event, "exchange_refused", caller, error.code());
    })
}

/// Only what a caller could guess at counts against its address: what is signed cannot be.
async fn not_verified(
    service: &Service,
    caller: &Caller,
    oidc: &dyn IdentityProvider,
    error: &OidcError,
) -> OauthError {
    if !error.is_about_token() {
        tracing::warn!(%error, "cannot check a token of the OIDC provider");
        return OauthError::unavailable("the OIDC provider cannot be reached", oidc.retry_after())
            .with_code(error.code());
    }
    service.auditor.refused(
        AuditEvent::Denied,
        "authentication_failed",
        caller,
        error.code(),
    );
    if error.is_unknown_token() {
        service.attempt_failed(caller, unix_now()).await;
    }
    OauthError::unauthorized("invalid_token", error.to_string())
        .with_code(error.code())
        .recorded()
}

fn request(body: &[u8]) -> Result<Narrowing, OauthError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Narrowing::default());
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        OauthError::invalid_request(format!("the body is not the JSON expected: {error}"))
    })?;
    Ok(Narrowing {
        scopes: body.scope.map(|scope| match scope {
            Scope::List(list) => list,
            Scope::Text(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        }),
        targets: body
            .target_service
            .into_iter()
            .filter(|target| !target.is_empty())
            .collect(),
    })
}

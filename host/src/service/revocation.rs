use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokensmith_engine::verify::VerifyError;

use super::Service;
use super::caller::Caller;
use super::form::Form;
use super::oauth_error::OauthError;
use super::to_the_end;
use super::token::no_store;
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::store::{OpaqueDigest, Refusal};

/// What was presented.
enum Presented {
    /// A token of ours; it is revoked now, if it had not ended before.
    Own,
    /// Nothing that was ever issued here.
    Unknown,
}

/// `POST /oauth/revoke` (RFC 7009). Clients are public: that they have the token is what allows
/// them to revoke it. Whatever it is, the answer is 200 (section 2.2).
///
/// `token_type_hint` is not looked at: the two kinds of tokens cannot be taken for each other.
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let form = Form::read(&headers, body)?;
    let token = form.required("token")?;
    let now = unix_now();
    service.admit(&caller, now).await?;
    let token = token.to_owned();
    to_the_end(async move { end(&service, &caller, &token, now).await }).await?;
    Ok((no_store(), StatusCode::OK).into_response())
}

async fn end(service: &Service, caller: &Caller, token: &str, now: i64) -> Result<(), OauthError> {
    let presented = if token.contains('.') {
        access_token(service, caller, token, now).await?
    } else {
        refresh_token(service, caller, token, now).await?
    };
    if let Presented::Unknown = presented {
        let code = Refusal::Unknown.code();
        service
            .auditor
            .refused(AuditEvent::Denied, "revocation_refused", caller, code);
        service.attempt_failed(caller, now).await;
    }
    Ok(())
}

async fn access_token(
    service: &Service,
    caller: &Caller,
    token: &str,
    now: i64,
) -> Result<Presented, OauthError> {
    let claims = match service.own_tokens.verify(token, now) {
        Ok(claims) => claims,
        // Signed here, and refused everywhere already.
        Err(VerifyError::Claim(_)) => return Ok(Presented::Own),
        Err(_) => return Ok(Presented::Unknown),
    };
    let (Some(jti), Some(exp)) = (claims.string("jti"), claims.exp()) else {
        return Ok(Presented::Own);
    };
    let subject = claims.sub().unwrap_or_default();
    let _timer = service.metrics.store_timer("revoke");
    service
        .store
        .revoke_access(jti, now, exp, || {
            service.auditor.revoked(caller, subject, Some(jti))
        })
        .await?;
    Ok(Presented::Own)
}

async fn refresh_token(
    service: &Service,
    caller: &Caller,
    token: &str,
    now: i64,
) -> Result<Presented, OauthError> {
    let _timer = service.metrics.store_timer("revoke");
    let family = service
        .store
        .revoke_family(&OpaqueDigest::of(token), now, |subject| {
            service.auditor.revoked(caller, subject, None)
        })
        .await?;
    Ok(match family {
        Some(_) => Presented::Own,
        None => Presented::Unknown,
    })
}

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use tokensmith_engine::exchange::{ExchangeError, service_claims};

use super::audit::Caller;
use super::form::Form;
use super::identity_exchange::{no_store, scope_text};
use super::oauth_error::OauthError;
use super::observe::RequestId;
use super::{Minted, Service, TOKEN_LIFETIME};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::random;
use crate::store::{Family, NewRefreshToken, OpaqueDigest, Refusal, StoreError};

/// Token exchange (RFC 8693 section 2.1).
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// As existing clients expect it, with a hyphen.
pub(super) const ISSUED_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access-token";
const BOOTSTRAP_TOKEN: &str = "urn:openchami:params:oauth:token-type:bootstrap-token";

/// Why a grant failed: the store's reason for the log, or an answer that is ready.
enum GrantError {
    Store(StoreError),
    Answer(OauthError),
}

impl GrantError {
    fn code(&self) -> &'static str {
        match self {
            GrantError::Store(error) => error.code(),
            GrantError::Answer(answer) => answer.code(),
        }
    }
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        GrantError::Store(error)
    }
}

impl From<OauthError> for GrantError {
    fn from(error: OauthError) -> Self {
        GrantError::Answer(error)
    }
}

/// `POST /oauth/token`: a bootstrap or refresh token for a service's access token.
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let form = Form::read(&headers, body)?;
    let caller = Caller {
        peer: peer.ip(),
        request,
    };
    if let Some(seconds) = service.limiter.wait(caller.peer, unix_now()) {
        return Err(OauthError::too_many_requests(seconds));
    }
    let (grant, granted) = match form.required("grant_type")? {
        TOKEN_EXCHANGE => {
            let subject_token = form.required("subject_token")?;
            let kind = form.required("subject_token_type")?;
            if kind != BOOTSTRAP_TOKEN {
                return Err(OauthError::invalid_request(format!(
                    "`subject_token_type` has to be `{BOOTSTRAP_TOKEN}`"
                )));
            }
            let granted = redeem(&service, &caller, subject_token).await;
            ("bootstrap_token", granted)
        }
        "refresh_token" => {
            let granted = rotate(&service, &caller, form.required("refresh_token")?).await;
            ("refresh_token", granted)
        }
        _ => {
            return Err(OauthError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!("`grant_type` has to be `{TOKEN_EXCHANGE}` or `refresh_token`"),
            ));
        }
    };
    let outcome = granted.as_ref().map_or_else(GrantError::code, |_| "issued");
    service.metrics.issuance(grant, outcome);
    let (minted, refresh_token, refresh_ttl) =
        granted.map_err(|error| refused(&service, &caller, error))?;
    let answer = json!({
        "access_token": minted.token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME,
        "refresh_token": refresh_token,
        "refresh_expires_in": refresh_ttl,
        "scope": scope_text(&minted.claims),
        "issued_token_type": ISSUED_TOKEN_TYPE,
    });
    Ok((no_store(), Json(answer)).into_response())
}

type Granted = Result<(Minted, String, i64), GrantError>;

async fn redeem(service: &Service, caller: &Caller, bootstrap_token: &str) -> Granted {
    let refresh_token = random::opaque_token().map_err(OauthError::internal)?;
    let family = random::identifier().map_err(OauthError::internal)?;
    let refresh = NewRefreshToken {
        digest: OpaqueDigest::of(&refresh_token),
        family: &family,
    };
    let _timer = service.metrics.store_timer("redeem_bootstrap");
    let (minted, ttl) = service
        .store
        .redeem_bootstrap(
            &OpaqueDigest::of(bootstrap_token),
            &refresh,
            unix_now(),
            |family| {
                let minted = mint(service, family)?;
                // Before the token counts as redeemed: what cannot be audited changes nothing.
                service.auditor.issued(
                    AuditEvent::Issue,
                    "bootstrap_token_exchanged",
                    caller,
                    &minted,
                )?;
                Ok::<_, GrantError>(minted)
            },
        )
        .await?;
    Ok((minted, refresh_token, ttl))
}

async fn rotate(service: &Service, caller: &Caller, refresh_token: &str) -> Granted {
    let next = random::opaque_token().map_err(OauthError::internal)?;
    let _timer = service.metrics.store_timer("rotate_refresh");
    let (minted, ttl) = service
        .store
        .rotate_refresh(
            &OpaqueDigest::of(refresh_token),
            &OpaqueDigest::of(&next),
            None,
            unix_now(),
            |family| {
                let minted = mint(service, family)?;
                service.auditor.issued(
                    AuditEvent::Refresh,
                    "refresh_token_rotated",
                    caller,
                    &minted,
                )?;
                Ok::<_, GrantError>(minted)
            },
        )
        .await?;
    Ok((minted, next, ttl))
}

fn mint(service: &Service, family: &Family) -> Result<Minted, OauthError> {
    service.mint(|issuance| {
        Ok::<_, ExchangeError>(service_claims(&family.grant, &family.id, issuance))
    })
}

/// Only what a caller could guess at counts against its address.
fn refused(service: &Service, caller: &Caller, error: GrantError) -> OauthError {
    match error {
        GrantError::Answer(answer) => answer,
        GrantError::Store(StoreError::Refused(refusal)) => {
            let (event, name) = match refusal {
                Refusal::Redeemed => (AuditEvent::Replay, "bootstrap_token_replayed"),
                Refusal::Replayed => (AuditEvent::Replay, "refresh_family_revoked"),
                Refusal::Unknown | Refusal::Expired | Refusal::Revoked | Refusal::Bound => {
                    (AuditEvent::Denied, "authentication_failed")
                }
            };
            service.auditor.refused(event, name, caller, refusal.code());
            service.limiter.failed(caller.peer, unix_now());
            OauthError::invalid_grant()
        }
        GrantError::Store(error) => error.into(),
    }
}

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokensmith_engine::exchange::{ExchangeError, service_claims};

use super::identity_exchange::{no_store, scope_text};
use super::oauth_error::OauthError;
use super::{Minted, Service, TOKEN_LIFETIME, audit};
use crate::clock::unix_now;
use crate::random;
use crate::store::{NewRefreshToken, OpaqueDigest, Refusal, StoreError};

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
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, OauthError> {
    let body = body
        .map_err(|error| OauthError::new(error.status(), "invalid_request", error.body_text()))?;
    let parameters = parameters(&headers, &body)?;
    let required = |name: &'static str| {
        parameters
            .get(name)
            .filter(|value| !value.is_empty())
            .map(String::as_str)
            .ok_or_else(|| OauthError::invalid_request(format!("parameter `{name}` is missing")))
    };
    let peer = peer.ip();
    if let Some(seconds) = service.limiter.wait(peer, unix_now()) {
        return Err(OauthError::too_many_requests(seconds));
    }
    let (event, granted) = match required("grant_type")? {
        TOKEN_EXCHANGE => {
            let subject_token = required("subject_token")?;
            let kind = required("subject_token_type")?;
            if kind != BOOTSTRAP_TOKEN {
                return Err(OauthError::invalid_request(format!(
                    "`subject_token_type` has to be `{BOOTSTRAP_TOKEN}`"
                )));
            }
            let granted = redeem(&service, subject_token).await;
            ("bootstrap_token_exchanged", granted)
        }
        "refresh_token" => {
            let granted = rotate(&service, required("refresh_token")?).await;
            ("refresh_token_rotated", granted)
        }
        _ => {
            return Err(OauthError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!("`grant_type` has to be `{TOKEN_EXCHANGE}` or `refresh_token`"),
            ));
        }
    };
    let (minted, refresh_token, refresh_ttl) =
        granted.map_err(|error| refused(&service, peer, error))?;
    audit::issued(event, peer, &minted.claims);
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

async fn redeem(service: &Service, bootstrap_token: &str) -> Granted {
    let refresh_token = random::opaque_token().map_err(OauthError::internal)?;
    let family = random::identifier().map_err(OauthError::internal)?;
    let refresh = NewRefreshToken {
        digest: OpaqueDigest::of(&refresh_token),
        family: &family,
    };
    let (minted, ttl) = service
        .store
        .redeem_bootstrap(
            &OpaqueDigest::of(bootstrap_token),
            &refresh,
            unix_now(),
            |grant| mint(service, grant, &family),
        )
        .await?;
    Ok((minted, refresh_token, ttl))
}

async fn rotate(service: &Service, refresh_token: &str) -> Granted {
    let next = random::opaque_token().map_err(OauthError::internal)?;
    let (minted, ttl) = service
        .store
        .rotate_refresh(
            &OpaqueDigest::of(refresh_token),
            &OpaqueDigest::of(&next),
            unix_now(),
            |grant, family| mint(service, grant, family),
        )
        .await?;
    Ok((minted, next, ttl))
}

fn mint(
    service: &Service,
    grant: &tokensmith_engine::exchange::ServiceGrant,
    family: &str,
) -> Result<Minted, GrantError> {
    Ok(service.mint(|issuance| Ok::<_, ExchangeError>(service_claims(grant, family, issuance)))?)
}

/// Only what a caller could guess at counts against its address.
fn refused(service: &Service, peer: IpAddr, error: GrantError) -> OauthError {
    match error {
        GrantError::Answer(answer) => answer,
        GrantError::Store(StoreError::Refused(refusal)) => {
            let event = match refusal {
                Refusal::Redeemed => "bootstrap_token_replayed",
                Refusal::Replayed => "refresh_family_revoked",
                Refusal::Unknown | Refusal::Expired | Refusal::Revoked => "authentication_failed",
            };
            audit::refused(event, peer, &refusal.to_string());
            service.limiter.failed(peer, unix_now());
            OauthError::invalid_grant()
        }
        GrantError::Store(error) => error.into(),
    }
}

/// Form parameters, none of them twice (RFC 6749 section 3.2).
fn parameters(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, OauthError> {
    let form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    if !form {
        return Err(OauthError::invalid_request(
            "the content type has to be `application/x-www-form-urlencoded`",
        ));
    }
    let mut parameters = HashMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if parameters
            .insert(name.clone().into_owned(), value.into_owned())
            .is_some()
        {
            return Err(OauthError::invalid_request(format!(
                "parameter `{}` is given twice",
                name.chars().take(64).collect::<String>()
            )));
        }
    }
    Ok(parameters)
}

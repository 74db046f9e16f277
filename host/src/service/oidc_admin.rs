//! `/admin/oidc/config`: which OpenID provider is in use, and putting another in its place. Only
//! the admin listener has these.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Service;
use super::caller::Caller;
use super::oauth_error::OauthError;
use super::to_the_end;
use super::token::no_store;
use crate::clock::unix_now;
use crate::oidc::{OidcClient, OidcError, ProviderDescription, ProviderOrigin};

/// The body of a change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    issuer_url: String,
    client_id: String,
    #[serde(default)]
    replace_existing: bool,
    #[serde(default)]
    dry_run: bool,
}

/// `GET /admin/oidc/config`.
pub(super) async fn show(State(service): State<Arc<Service>>) -> Response {
    let description = service.oidc.describe();
    let status = match &description {
        Some(_) => "configured",
        None => "not_configured",
    };
    answer(status, description.map(|own| own.client).as_ref())
}

/// `POST /admin/oidc/config`: a provider whose metadata and keys are good takes the place of the
/// one in use, here at once and at replicas with the same store a few seconds later.
pub(super) async fn configure(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    // A page in a browser can post any other kind without asking.
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        return Err(OauthError::invalid_request(
            "the content type has to be `application/json`",
        ));
    }
    let body = body
        .map_err(|error| OauthError::new(error.status(), "invalid_request", error.body_text()))?;
    let change: Change = serde_json::from_slice(&body).map_err(|error| {
        OauthError::invalid_request(format!("the body is not the JSON expected: {error}"))
    })?;
    to_the_end(async move { apply(&service, &caller, change).await }).await
}

async fn apply(service: &Service, caller: &Caller, change: Change) -> Result<Response, OauthError> {
    let oidc = &service.oidc;
    let _turn = oidc.change().await;
    let stored = service.store.oidc_provider().await?;
    let generation = stored.as_ref().map_or(0, |own| own.generation);
    let former = stored.map_or_else(
        || oidc.describe().map(|own| own.client.issuer),
        |own| Some(own.issuer),
    );
    if let Some(issuer) = &former
        && !change.replace_existing
    {
        return Err(refused(&OidcError::Exists(issuer.clone())));
    }
    let client = OidcClient {
        issuer: change.issuer_url,
        client_id: change.client_id,
    };
    let provider = oidc
        .build(client.clone())
        .map_err(|error| refused(&error))?;
    provider.probe().await.map_err(|error| refused(&error))?;
    if change.dry_run {
        let status = if former.is_some() {
            "would_replace"
        } else {
            "would_create"
        };
        return Ok(answer(status, Some(&client)));
    }
    let about = about(&client, former.as_deref());
    let generation = service
        .store
        .set_oidc_provider(
            &client.issuer,
            &client.client_id,
            generation,
            unix_now(),
            || service.auditor.reconfigured(caller, &about),
        )
        .await?
        .ok_or_else(|| refused(&OidcError::Conflict))?;
    oidc.swap(
        Arc::new(provider),
        ProviderDescription {
            client: client.clone(),
            origin: ProviderOrigin::Store { generation },
        },
    );
    let status = if former.is_some() {
        "replaced"
    } else {
        "created"
    };
    Ok(answer(status, Some(&client)))
}

/// What the audit log tells of a change.
fn about(client: &OidcClient, former: Option<&str>) -> Map<String, Value> {
    [
        ("issuer", json!(client.issuer)),
        ("client_id", json!(client.client_id)),
        ("former_issuer", json!(former)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn answer(status: &str, client: Option<&OidcClient>) -> Response {
    let body = json!({
        "status": status,
        "oidc": {
            "configured": client.is_some(),
            "issuer_url": client.map_or("", |own| own.issuer.as_str()),
            "client_id": client.map_or("", |own| own.client_id.as_str()),
            // Tokens without a provider are the command line's, never the service's.
            "local_user_mint_enabled": false,
        },
    });
    (no_store(), Json(body)).into_response()
}

fn refused(error: &OidcError) -> OauthError {
    let (status, name) = match error {
        OidcError::Exists(_) | OidcError::Conflict => (StatusCode::CONFLICT, "invalid_request"),
        OidcError::Url { .. } | OidcError::ClientId => (StatusCode::BAD_REQUEST, "invalid_request"),
        OidcError::Client(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        // The provider is not what it has to be; whoever configures it has to know why.
        _ => (StatusCode::BAD_GATEWAY, "server_error"),
    };
    OauthError::new(status, name, error.to_string()).with_code(error.code())
}

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokensmith_engine::exchange::TokenType;

use super::super::Service;
use super::super::caller::Caller;
use super::super::form::Form;
use super::super::oauth_error::OauthError;
use super::super::to_the_end;
use super::{GrantError, Granted, bootstrap, client_credentials, exchange, refresh};
use crate::clock::unix_now;

/// Token exchange (RFC 8693 section 2.1).
pub(in super::super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Use of a refresh token (RFC 6749 section 6).
pub(in super::super) const REFRESH_TOKEN: &str = "refresh_token";
/// A client's own token (RFC 6749 section 4.4).
pub(in super::super) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// `POST /oauth/token` (RFC 6749 section 3.2).
pub(in super::super) async fn token(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OauthError> {
    let form = Form::read(&headers, body)?;
    service.admit(&caller, unix_now()).await?;
    to_the_end(async move {
        let (grant, granted) = grant(&service, &caller, &headers, &form).await;
        let outcome = granted.as_ref().map_or_else(GrantError::code, |_| "issued");
        service.metrics.issuance(grant, outcome);
        match granted {
            Ok(granted) => Ok(granted.answer(&service)),
            Err(error) => Err(error.answer(&service, &caller).await),
        }
    })
    .await
}

/// The grant's name for metrics, and what it brought.
async fn grant(
    service: &Service,
    caller: &Caller,
    headers: &HeaderMap,
    form: &Form,
) -> (&'static str, Result<Granted, GrantError>) {
    let kind = match form.required("grant_type") {
        Ok(kind) => kind,
        Err(error) => return ("none", Err(error.into())),
    };
    match kind {
        REFRESH_TOKEN => {
            let granted = async {
                service.client(caller, headers, form).await?;
                let token = form.required("refresh_token")?;
                refresh::rotate(service, caller, token, &form.narrowing()).await
            };
            ("refresh_token", granted.await)
        }
        CLIENT_CREDENTIALS => {
            let granted = async {
                let client = service.client(caller, headers, form).await?;
                client_credentials::grant(service, caller, form, client)
            };
            ("client_credentials", granted.await)
        }
        TOKEN_EXCHANGE => match subject_token(form) {
            Ok((TokenType::BootstrapToken, token)) => (
                "bootstrap_token",
                bootstrap::redeem(service, caller, token, &form.narrowing()).await,
            ),
            Ok((kind, token)) => {
                let granted = async {
                    let client = service.client(caller, headers, form).await?;
                    exchange::exchange(service, caller, form, client.as_ref(), kind, token).await
                };
                ("token_exchange", granted.await)
            }
            Err(error) => ("token_exchange", Err(error.into())),
        },
        _ => (
            "other",
            Err(OauthError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!(
                    "`grant_type` has to be `{TOKEN_EXCHANGE}`, `refresh_token` or \
                     `client_credentials`"
                ),
            )
            .into()),
        ),
    }
}

fn subject_token(form: &Form) -> Result<(TokenType, &str), OauthError> {
    let token = form.required("subject_token")?;
    let kind = form.required("subject_token_type")?;
    let kind = TokenType::parse(kind).ok_or_else(|| {
        OauthError::invalid_request(format!(
            "`subject_token_type` `{}` is not one that is exchanged here",
            kind.chars().take(128).collect::<String>()
        ))
    })?;
    Ok((kind, token))
}

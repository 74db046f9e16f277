use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokensmith_engine::exchange::TokenType;

use super::super::{Minted, Service};
use crate::clock::unix_now;

/// What a grant brought.
pub(in super::super) struct Granted {
    /// The access token.
    pub(super) minted: Minted,
    /// A refresh token and the seconds it lasts.
    pub(super) refresh: Option<(String, i64)>,
}

impl Granted {
    /// An access token without a refresh token.
    pub(in super::super) fn alone(minted: Minted) -> Self {
        Self {
            minted,
            refresh: None,
        }
    }

    /// The answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
    pub(in super::super) fn answer(self, service: &Service) -> Response {
        let claims = &self.minted.claims;
        let exp = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
        let mut answer = json!({
            "access_token": self.minted.token,
            "token_type": "Bearer",
            "expires_in": exp.saturating_sub(unix_now()).max(0),
            "issued_token_type": service.settings.issued_token_type.urn(TokenType::AccessToken),
        });
        let scope = scope_text(claims);
        if let (false, Some(members)) = (scope.is_empty(), answer.as_object_mut()) {
            members.insert("scope".to_owned(), scope.into());
        }
        if let (Some((token, seconds)), Some(members)) = (self.refresh, answer.as_object_mut()) {
            members.insert("refresh_token".to_owned(), token.into());
            members.insert("refresh_expires_in".to_owned(), seconds.into());
        }
        (no_store(), Json(answer)).into_response()
    }
}

/// `scope` as RFC 6749 writes it.
fn scope_text(claims: &Map<String, Value>) -> String {
    let scopes = claims.get("scope").and_then(Value::as_array);
    let scopes: Vec<&str> = scopes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    scopes.join(" ")
}

/// Answers with tokens are nobody's to keep (RFC 6749 section 5.1).
pub(in super::super) fn no_store() -> [(HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokensmith_engine::jose::{Algorithm, encode_base64url};

use super::token::{CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE};
use crate::signing_key::SigningKey;

/// Seconds for which a published document may be kept.
const MAX_AGE: &str = "public, max-age=300";

/// A document that anyone may read, browsers of other origins included.
#[derive(Debug)]
pub(super) struct PublicDocument {
    body: String,
    etag: String,
}

/// The JWK set (RFC 7517 section 5).
pub(super) fn jwks<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> PublicDocument {
    let keys: Vec<Value> = keys.into_iter().map(|key| key.jwk().to_json()).collect();
    PublicDocument::new(&json!({"keys": keys}))
}

/// The authorization server metadata (RFC 8414).
pub(super) fn metadata(issuer: &str) -> PublicDocument {
    let base = issuer.trim_end_matches('/');
    PublicDocument::new(&json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/oauth/token"),
        "revocation_endpoint": format!("{base}/oauth/revoke"),
        "introspection_endpoint": format!("{base}/oauth/introspect"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "grant_types_supported": [TOKEN_EXCHANGE, REFRESH_TOKEN, CLIENT_CREDENTIALS],
        "token_endpoint_auth_methods_supported": [
            "none",
            "private_key_jwt",
            "tls_client_auth",
        ],
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        "tls_client_certificate_bound_access_tokens": true,
        "revocation_endpoint_auth_methods_supported": ["none"],
        // RFC 8414 section 2 takes access token types here too.
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "response_types_supported": [],
    }))
}

impl PublicDocument {
    pub(super) fn new(value: &Value) -> Self {
        let body = value.to_string();
        let etag = format!("\"{}\"", encode_base64url(Sha256::digest(&body)));
        Self { body, etag }
    }

    /// The document, or 304 when the caller has it (RFC 9110 section 13.1.2).
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = if is_known(request, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, self.body.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(MAX_AGE));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        response
    }
}

/// Whether the caller has the representation `etag`, compared weakly (RFC 9110 section 13.1.2).
pub(super) fn is_known(request: &HeaderMap, etag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokensmith_engine::jose::encode_base64url;

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
        "grant_types_supported": [super::token_endpoint::TOKEN_EXCHANGE, "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        // RFC 8414 section 2 takes access token types here too.
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "response_types_supported": [],
    }))
}

impl PublicDocument {
    fn new(value: &Value) -> Self {
        let body = value.to_string();
        let etag = format!("\"{}\"", encode_base64url(Sha256::digest(&body)));
        Self { body, etag }
    }

    /// The document, or 304 when the caller has it (RFC 9110 section 13.1.2).
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let known = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag == self.etag);
        let mut response = if known {
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

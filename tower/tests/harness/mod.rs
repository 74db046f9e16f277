//! A router without sockets, and requests to it.
#![allow(unreachable_pub)]

use axum::body::Body;
use axum::{Json, Router};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokensmith_engine::decide::Config;
use tokensmith_tests::tokens::Signer;
use tokensmith_tower::Principal;
use tower::ServiceExt as _;

/// `iss` of the tokens.
pub const ISSUER: &str = "https://issuer.test";

/// The key as a JWK set.
pub fn jwks(signer: &Signer) -> Value {
    json!({"keys": [signer.jwk.to_json()]})
}

/// A configuration with `change` laid over it.
pub fn config_with(signer: &Signer, change: &Value) -> Config {
    let mut config = json!({
        "issuers": [{"issuer": ISSUER, "audiences": ["svc"], "jwks": jwks(signer)}],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE", "HEAD"]}, "object": "metadata:nodes", "action": "delete"},
        ],
        "claim_headers": [{"claim": "email", "header": "X-Email"}],
        "filter_state": {"claims": ["sub", "email"]},
        "options_public": true,
    });
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    Config::from_json(config.to_string().as_bytes()).unwrap()
}

/// Answers with what reached it.
pub async fn echo(uri: Uri, headers: HeaderMap, principal: Option<Principal>) -> Json<Value> {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    Json(json!({
        "uri": uri.to_string(), "headers": headers,
        "principal": principal.map(|own| own.id().to_owned()),
    }))
}

/// A request without a body.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// The answer of a router.
pub async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

/// The bytes of an answer.
pub async fn body(response: Response<Body>) -> Vec<u8> {
    response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec()
}

/// The JSON of an answer.
pub async fn json_of(response: Response<Body>) -> Value {
    serde_json::from_slice(&body(response).await).unwrap()
}

/// The value of the `Authorization` header.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

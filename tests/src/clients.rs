//! Clients of the token endpoint: registrations, assertions, and requests.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::http::{self, Response};
use crate::tokens::now;

/// `client_assertion_type` (RFC 7523 section 2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `grant_type` of a client's own token (RFC 6749 section 4.4).
pub const OWN_TOKEN: (&str, &str) = ("grant_type", "client_credentials");

/// The table of a client that may use both grant types, with `members` laid over it.
pub fn registration(client_id: &str, auth: &str, members: &Value) -> Value {
    let client = json!({
        "client_id": client_id, "auth": auth, "grants": ["client_credentials", "token_exchange"],
        "client_credentials": {"audience": ["smd", "bss"], "scopes": ["read", "write"]},
    });
    laid_over(client, members)
}

/// What a client says of itself to the service `issuer`, good for a minute, with `change` laid
/// over it.
pub fn assertion(client_id: &str, issuer: &str, change: &Value) -> Value {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let jti = format!("assertion-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": issuer, "jti": jti, "iat": now(),
        "exp": now() + 60,
    });
    laid_over(claims, change)
}

/// Posts a form to the token endpoint of a service that trusts 127.0.0.1 as a proxy, each time
/// from an address of its own, so that no limit of failures hides an answer.
///
/// # Panics
/// When nothing answers.
pub fn post(port: u16, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Response {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let address = format!("10.0.{}.{}", call / 250, call % 250);
    // None of the values has a character that a form has to escape.
    let body = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let mut all = vec![
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-for", address.as_str()),
    ];
    all.extend_from_slice(headers);
    http::send(port, "POST", "/oauth/token", &all, &body).unwrap()
}

/// Asks for a client's own token with an assertion and more parameters, as [`post`] does.
///
/// # Panics
/// When nothing answers.
pub fn own_token(port: u16, assertion: &str, more: &[(&str, &str)]) -> Response {
    let mut form = vec![
        OWN_TOKEN,
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ];
    form.extend_from_slice(more);
    post(port, &[], &form)
}

/// Checks that an answer is a refusal with this status, `error` and `code`.
///
/// # Panics
/// With `what` and the answer when it is not.
pub fn refused(response: &Response, status: u16, error: &str, code: &str, what: &str) {
    let body = response.json();
    assert_eq!(
        (response.status, &body["error"], &body["code"]),
        (status, &json!(error), &json!(code)),
        "{what}: {response:?}"
    );
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
}

/// `null` takes a member out.
fn laid_over(mut base: Value, change: &Value) -> Value {
    if let (Some(base), Some(change)) = (base.as_object_mut(), change.as_object()) {
        base.extend(change.clone());
        base.retain(|_, value| !value.is_null());
    }
    base
}

//! Revocation (RFC 7009) and introspection (RFC 7662) at the real service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;
use tokensmith_tests::tokens::{Signer, claims};

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

/// The answer to a new bootstrap token of `subject` with `scopes`.
fn tokens(service: &Service, subject: &str, scopes: &str) -> Value {
    tokens_for(service, subject, "smd", scopes)
}

fn tokens_for(service: &Service, subject: &str, audience: &str, scopes: &str) -> Value {
    let arguments = [
        "--subject",
        subject,
        "--audience",
        audience,
        "--scopes",
        scopes,
    ];
    let response = service.redeem(&service.bootstrap_token(&arguments));
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn introspect(service: &Service, caller: &str, token: &str) -> Response {
    let authorization = format!("Bearer {caller}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = format!("token={token}");
    http::send(service.port, "POST", "/oauth/introspect", &headers, &body).unwrap()
}

fn is_active(service: &Service, caller: &str, token: &str) -> bool {
    let response = introspect(service, caller, token);
    assert_eq!(response.status, 200, "{response:?}");
    let answer = response.json();
    let active = answer["active"].as_bool().unwrap();
    assert!(active || answer == json!({"active": false}), "{answer}");
    active
}

#[test]
fn introspection_tells_what_a_token_says() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let caller = tokens(&service, "gateway", "introspect");
    let caller = text(&caller, "access_token");
    let of_service = tokens(&service, "boot-service", "read,nodes:read");
    let response = introspect(&service, caller, text(&of_service, "access_token"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let told = response.json();
    assert_eq!(told["active"], true, "{told}");
    assert_eq!(told["iss"], service.issuer);
    assert_eq!(told["sub"], "boot-service");
    assert_eq!(told["aud"], json!(["smd"]));
    assert_eq!(told["scope"], "read nodes:read");
    assert_eq!(told["token_type"], "Bearer");
    assert!(!text(&told, "jti").is_empty());
    for name in ["exp", "iat", "nbf"] {
        assert!(told[name].is_i64(), "{name}: {told}");
    }
    assert!(told["nonce"].is_null(), "only what the RFC lists: {told}");

    let refresh_token = text(&of_service, "refresh_token");
    let told = introspect(&service, caller, refresh_token).json();
    assert_eq!(told["active"], true, "{told}");
    assert_eq!(told["sub"], "boot-service");
    assert_eq!(told["token_type"], "refresh_token");
    assert_eq!(told["scope"], "read nodes:read");
    assert!(!told.to_string().contains(refresh_token));
    assert!(
        is_active(&service, caller, refresh_token),
        "asking uses nothing"
    );
    let next = service.refresh(refresh_token).json();
    assert!(!is_active(&service, caller, refresh_token));
    assert!(is_active(&service, caller, text(&next, "refresh_token")));
}

#[test]
fn a_revoked_access_token_is_inactive_and_stays_so() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    // Whoever `smd` is called by has an administrator's token for it too: no reason to ask here.
    let elsewhere = tokens(&service, "gateway", "admin");
    let elsewhere = text(&elsewhere, "access_token");
    assert_eq!(introspect(&service, elsewhere, elsewhere).status, 401);
    let caller = tokens_for(&service, "gateway", "openchami", "admin");
    let caller = text(&caller, "access_token");
    let mine = tokens(&service, "boot-service", "read");
    let (access, refresh) = (text(&mine, "access_token"), text(&mine, "refresh_token"));
    assert!(is_active(&service, caller, access));
    for _ in 0..2 {
        let response = service.form(
            "/oauth/revoke",
            &[("token", access), ("token_type_hint", "refresh_token")],
        );
        assert_eq!((response.status, response.body.as_str()), (200, ""));
    }
    assert!(!is_active(&service, caller, access));
    assert!(is_active(&service, caller, refresh), "the family goes on");
    drop(service);
    let service = Service::start(scratch.path(), &[]).unwrap();
    assert!(!is_active(&service, caller, access));
    // A revoked token no longer allows its owner to ask.
    assert_eq!(
        service.form("/oauth/revoke", &[("token", caller)]).status,
        200
    );
    let response = introspect(&service, caller, access);
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.json()["code"], "token_inactive");
}

#[test]
fn a_revoked_refresh_token_ends_its_family_and_its_access_tokens() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let caller = tokens(&service, "gateway", "introspect");
    let caller = text(&caller, "access_token");
    let first = tokens(&service, "boot-service", "read");
    let second = service.refresh(text(&first, "refresh_token")).json();
    let other = tokens(&service, "other", "read");
    let response = service.form(
        "/oauth/revoke",
        &[("token", text(&second, "refresh_token"))],
    );
    assert_eq!(response.status, 200, "{response:?}");
    let response = service.refresh(text(&second, "refresh_token"));
    assert_eq!(
        (response.status, &response.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    for (answer, active) in [(&first, false), (&second, false), (&other, true)] {
        for name in ["access_token", "refresh_token"] {
            assert_eq!(
                is_active(&service, caller, text(answer, name)),
                active,
                "{name}"
            );
        }
    }
}

#[test]
fn what_is_not_ours_is_inactive_and_revoking_it_is_no_error() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let caller = tokens(&service, "gateway", "introspect");
    let caller = text(&caller, "access_token");
    let forged =
        Signer::new(Algorithm::ES256).sign(&claims(&json!({"iss": service.issuer, "jti": "j"})));
    let (body, signature) = caller.rsplit_once('.').unwrap();
    let altered = format!("{body}.{}", signature.chars().rev().collect::<String>());
    for token in ["guess", "a.b.c", &forged, &altered] {
        assert!(!is_active(&service, caller, token), "{token}");
    }
    for token in ["guess", "a.b.c", &forged, &altered, "more"] {
        let response = service.form("/oauth/revoke", &[("token", token)]);
        assert_eq!(response.status, 200, "{token}: {response:?}");
    }
    let response = service.form("/oauth/revoke", &[("token", "guess")]);
    assert_eq!(response.status, 429, "guesses count: {response:?}");
    assert!(response.header("retry-after").is_some());
}

#[test]
fn introspection_is_for_callers_that_may() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let reader = tokens(&service, "reader", "read");
    let reader = text(&reader, "access_token");
    let response = introspect(&service, reader, reader);
    assert_eq!(response.status, 403, "{response:?}");
    assert_eq!(response.json()["error"], "insufficient_scope");
    assert_eq!(
        response.header("www-authenticate"),
        Some("Bearer error=\"insufficient_scope\"")
    );
    let response = service.form("/oauth/introspect", &[("token", reader)]);
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    let forged = Signer::new(Algorithm::ES256).sign(&claims(
        &json!({"iss": service.issuer, "jti": "j", "scope": "admin"}),
    ));
    let response = introspect(&service, &forged, reader);
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.json()["error"], "invalid_token");
    assert_eq!(service.form("/oauth/revoke", &[]).status, 400);
    assert_eq!(service.get("/oauth/revoke").status, 405);
}

#[test]
fn the_metadata_lists_both_endpoints() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let metadata = service
        .get("/.well-known/oauth-authorization-server")
        .json();
    for (name, path) in [
        ("revocation_endpoint", "/oauth/revoke"),
        ("introspection_endpoint", "/oauth/introspect"),
    ] {
        assert_eq!(metadata[name], format!("{}{path}", service.issuer));
    }
}

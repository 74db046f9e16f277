//! ID tokens exchanged at the real service: from a real OpenID provider, and forged ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::backend::Backend;
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;
use tokensmith_tests::tokens::{Signer, claims, now};

fn service(scratch: &Scratch, issuer: &str, client: &str) -> Service {
    Service::start(
        scratch.path(),
        &[
            "--oidc-issuer",
            issuer,
            "--oidc-client-id",
            client,
            "--audience",
            "smd,bss",
        ],
    )
    .unwrap()
}

#[test]
fn users_get_what_their_groups_grant() {
    let scratch = Scratch::new();
    let oidc = OidcProvider::start();
    let service = service(&scratch, &oidc.issuer, &oidc.client_id);
    for (user, role, scopes) in [
        ("alice", "admin", json!(["admin", "read", "write"])),
        ("bob", "viewer", json!(["read"])),
        ("carol", "operator", json!(["read", "write"])),
    ] {
        let response = service.exchange(&oidc.login(user), "");
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let answer = response.json();
        assert_eq!(answer["token_type"], "Bearer");
        let (code, verified) = service.verify("smd", answer["access_token"].as_str().unwrap());
        assert_eq!(code, Some(0), "{verified}");
        assert_eq!(
            verified["principal"],
            json!({"id": user, "type": "user", "roles": [role], "scopes": scopes})
        );
        let claims = &verified["claims"];
        assert_eq!(claims["aud"], json!(["smd", "bss"]));
        assert_eq!(claims["groups"], json!([role]));
        assert_eq!(claims["email"], format!("{user}@site.example"));
        assert_eq!(claims["session_id"], format!("idp-{user}"));
        assert_eq!(claims["auth_level"], "IAL2");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((3500..=3600).contains(&life), "{life}");
    }
}

#[test]
fn a_request_narrows_and_never_adds() {
    let scratch = Scratch::new();
    let oidc = OidcProvider::start();
    let service = service(&scratch, &oidc.issuer, &oidc.client_id);
    let bob = oidc.login("bob");
    let narrowed = service.exchange(&bob, r#"{"scope":["read"],"target_service":"bss"}"#);
    let token = narrowed.json()["access_token"].as_str().unwrap().to_owned();
    let (_, verified) = service.verify("bss", &token);
    assert_eq!(verified["claims"]["aud"], json!(["bss"]));
    let (code, refused) = service.verify("smd", &token);
    assert_eq!(
        (code, &refused["code"]),
        (Some(1), &json!("audience_mismatch"))
    );
    for (body, error) in [
        (r#"{"scope":["admin"]}"#, "invalid_scope"),
        (r#"{"scope":"read admin"}"#, "invalid_scope"),
        (r#"{"target_service":"elsewhere"}"#, "invalid_target"),
        (r#"{"scope":7}"#, "invalid_request"),
        (r#"{"scop":["read"]}"#, "invalid_request"),
        ("not json", "invalid_request"),
    ] {
        let response = service.exchange(&bob, body);
        assert_eq!(
            (response.status, &response.json()["error"]),
            (400, &json!(error)),
            "{body}"
        );
    }
}

#[test]
fn forged_and_foreign_tokens_are_refused() {
    let scratch = Scratch::new();
    let oidc = OidcProvider::start();
    let service = service(&scratch, &oidc.issuer, &oidc.client_id);
    let good = oidc.login("bob");
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}")
    };
    let none = encode_base64url(r#"{"alg":"none"}"#);
    let stranger = Signer::new(Algorithm::RS256).sign(&json!({
        "iss": oidc.issuer, "aud": oidc.client_id, "sub": "alice", "exp": now() + 60,
        "groups": ["admin"],
    }));
    let admin = encode_base64url(
        json!({
            "iss": oidc.issuer, "aud": oidc.client_id, "sub": "bob", "exp": now() + 60,
            "groups": ["admin"],
        })
        .to_string(),
    );
    for (token, code) in [
        (format!("{header}.{admin}.{signature}"), "signature_invalid"),
        (format!("{none}.{payload}."), "alg_refused"),
        (stranger, "kid_unknown"),
        ("garbage".to_owned(), "token_malformed"),
    ] {
        let response = service.exchange(&token, "");
        let body = response.json();
        assert_eq!(
            (response.status, &body["code"]),
            (401, &json!(code)),
            "{body}"
        );
        assert_eq!(body["error"], "invalid_token");
        assert_eq!(
            response.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
    }
    let response =
        tokensmith_tests::http::send(service.port, "POST", "/oauth/exchange", &[], "").unwrap();
    assert_eq!(
        (response.status, response.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    // A token that the same provider issued to another client.
    let other = Scratch::new();
    let other = self::service(&other, &oidc.issuer, "another-client");
    assert_eq!(
        other.exchange(&good, "").json()["code"],
        "audience_mismatch"
    );
}

/// A provider whose every answer and token is this test's.
struct Forge {
    backend: Backend,
    issuer: String,
    signer: Signer,
}

impl Forge {
    fn new() -> Self {
        let backend = Backend::start();
        let issuer = format!("http://127.0.0.1:{}", backend.port);
        let forge = Self {
            backend,
            issuer,
            signer: Signer::new(Algorithm::RS256),
        };
        forge.publish_discovery(&forge.issuer);
        forge.publish_key(&forge.signer);
        forge
    }

    fn publish_discovery(&self, issuer: &str) {
        let jwks_uri = format!("{}/jwks", self.issuer);
        self.backend.publish(
            "/.well-known/openid-configuration",
            Some(json!({"issuer": issuer, "jwks_uri": jwks_uri})),
        );
    }

    fn publish_key(&self, signer: &Signer) {
        self.backend
            .publish("/jwks", Some(json!({"keys": [signer.jwk.to_json()]})));
    }

    fn claims(&self, change: &Value) -> Value {
        let mut all = claims(&json!({
            "iss": self.issuer, "aud": "client", "groups": ["viewer"], "sub": "u-17",
            "preferred_username": "dora",
        }));
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        all
    }
}

#[test]
fn claims_decide() {
    let forge = Forge::new();
    let scratch = Scratch::new();
    let service = service(&scratch, &forge.issuer, "client");
    let outcome = |change: Value| {
        let response = service.exchange(&forge.signer.sign(&forge.claims(&change)), "");
        let body = response.json();
        match body["access_token"].as_str() {
            Some(token) => Ok(service.verify("smd", token).1["claims"].clone()),
            None => Err((response.status, body["code"].as_str().unwrap().to_owned())),
        }
    };
    let claims = outcome(json!({})).unwrap();
    assert_eq!(claims["sub"], "dora");
    assert_eq!(
        outcome(json!({"preferred_username": null})).unwrap()["sub"],
        "u-17"
    );
    // The token ends with the session and with the identity token.
    let soon = now() + 120;
    for name in ["exp", "session_exp"] {
        assert_eq!(outcome(json!({name: soon})).unwrap()["exp"], soon, "{name}");
    }
    let long = outcome(json!({"exp": now() + 90_000, "session_exp": now() + 900_000})).unwrap();
    assert_eq!(
        long["exp"].as_i64().unwrap() - long["iat"].as_i64().unwrap(),
        3600
    );
    assert_eq!(
        long["session_exp"].as_i64().unwrap() - long["iat"].as_i64().unwrap(),
        24 * 3600
    );
    let nobody = outcome(json!({"groups": ["strangers"]})).unwrap();
    assert_eq!(
        (&nobody["roles"], &nobody["scope"]),
        (&json!([]), &Value::Null)
    );
    // OIDC's own names stand in for TokenSmith's.
    let standard = outcome(json!({
        "auth_methods": null, "amr": ["pwd", "otp"], "auth_level": null, "acr": "loa2",
        "session_id": null, "sid": "s",
    }))
    .unwrap();
    assert_eq!(standard["auth_methods"], json!(["pwd", "otp"]));
    assert_eq!(
        (&standard["auth_level"], &standard["session_id"]),
        (&json!("loa2"), &json!("s"))
    );
    for (change, status, code) in [
        (json!({"exp": now() - 61}), 401, "token_expired"),
        (json!({"exp": "soon"}), 401, "claim_type"),
        (json!({"aud": ["client", "other"]}), 401, "azp_mismatch"),
        (json!({"azp": "other"}), 401, "azp_mismatch"),
        (
            json!({"iss": "https://evil.example"}),
            401,
            "issuer_refused",
        ),
        (json!({"auth_events": null}), 401, "claim_missing"),
        (json!({"session_exp": null}), 401, "claim_missing"),
        (json!({"auth_factors": 1}), 401, "auth_factors_too_few"),
    ] {
        assert_eq!(
            outcome(change.clone()).unwrap_err(),
            (status, code.to_owned()),
            "{change}"
        );
    }
    assert!(outcome(json!({"aud": ["client", "other"], "azp": "client"})).is_ok());
}

#[test]
fn configuration_stands_in_for_missing_claims() {
    let forge = Forge::new();
    let scratch = Scratch::new();
    let config = scratch.write(
        "config.json",
        &json!({
            "groupScopes": {"hpc": ["jobs"]},
            "groupRoles": {"hpc": ["operator"]},
            "subjectClaim": "email",
            "claimDefaults": {
                "auth_level": "IAL1", "auth_factors": 2, "auth_methods": ["sso"],
                "auth_events": ["login"], "session_seconds": 600,
            },
        })
        .to_string(),
    );
    let service = Service::start(
        scratch.path(),
        &[
            "--config",
            config.to_str().unwrap(),
            "--oidc-issuer",
            &forge.issuer,
            "--oidc-client-id",
            "client",
        ],
    )
    .unwrap();
    let id_token = json!({
        "iss": forge.issuer, "aud": "client", "sub": "u-17", "email": "dora@site.example",
        "groups": ["hpc"], "exp": now() + 3600,
    });
    let answer = service.exchange(&forge.signer.sign(&id_token), "").json();
    let (code, verified) = service.verify("openchami", answer["access_token"].as_str().unwrap());
    assert_eq!(code, Some(0), "{verified}");
    assert_eq!(
        verified["principal"],
        json!({"id": "dora@site.example", "type": "user", "roles": ["operator"], "scopes": ["jobs"]})
    );
    assert!(answer["expires_in"].as_i64().unwrap() <= 600);
}

#[test]
fn a_rotated_provider_key_is_found() {
    let forge = Forge::new();
    let scratch = Scratch::new();
    let service = service(&scratch, &forge.issuer, "client");
    let claims = forge.claims(&json!({}));
    assert_eq!(
        service.exchange(&forge.signer.sign(&claims), "").status,
        200
    );
    let next = Signer::new(Algorithm::ES256);
    forge.publish_key(&next);
    let end = Instant::now() + Duration::from_secs(20);
    while service.exchange(&next.sign(&claims), "").status != 200 {
        assert!(Instant::now() < end, "the new key was never fetched");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        service.exchange(&forge.signer.sign(&claims), "").json()["code"],
        "kid_unknown",
        "the old key is withdrawn"
    );
}

#[test]
fn a_provider_that_is_down_is_unavailable_and_comes_back() {
    let forge = Forge::new();
    forge.backend.publish("/jwks", None);
    let scratch = Scratch::new();
    let service = service(&scratch, &forge.issuer, "client");
    let token = forge.signer.sign(&forge.claims(&json!({})));
    let response = service.exchange(&token, "");
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.json()["error"], "temporarily_unavailable");
    assert!(response.header("retry-after").is_some());
    assert_eq!(service.get("/health").status, 200, "the rest goes on");
    forge.publish_key(&forge.signer);
    let end = Instant::now() + Duration::from_secs(20);
    while service.exchange(&token, "").status != 200 {
        assert!(Instant::now() < end, "never came back");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Nobody listens: what a provider that is not running looks like.
    let scratch = Scratch::new();
    let service = self::service(&scratch, "http://127.0.0.1:9", "client");
    assert_eq!(service.exchange(&token, "").status, 503);
    // Nobody answers: the caller is not kept waiting.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let scratch = Scratch::new();
    let service = Service::start(
        scratch.path(),
        &[
            "--oidc-issuer",
            &issuer,
            "--oidc-client-id",
            "client",
            "--oidc-timeout",
            "300ms",
        ],
    )
    .unwrap();
    assert_eq!(
        service.exchange(&token, "").json()["code"],
        "oidc_unreachable"
    );
    // No provider at all.
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let response = service.exchange(&token, "");
    assert_eq!(
        (response.status, &response.json()["code"]),
        (503, &json!("oidc_not_configured"))
    );
}

#[test]
fn a_caller_that_goes_away_does_not_keep_the_others_from_the_keys() {
    let forge = Forge::new();
    let scratch = Scratch::new();
    let service = Service::start(
        scratch.path(),
        &[
            "--oidc-issuer",
            &forge.issuer,
            "--oidc-client-id",
            "client",
            "--oidc-timeout",
            "1s",
        ],
    )
    .unwrap();
    let token = forge.signer.sign(&forge.claims(&json!({})));
    forge.backend.hold(1);
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    write!(
        stream,
        "POST /oauth/exchange HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(stream);
    // The fetch has to end by its own timeout and be tried again after the cool-down of 5 s; one
    // that was dropped would block for the 10 s that a fetch may take.
    let end = Instant::now() + Duration::from_secs(8);
    while service.exchange(&token, "").status != 200 {
        assert!(Instant::now() < end, "the keys were never fetched");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn metadata_of_another_issuer_is_not_believed() {
    let forge = Forge::new();
    forge.publish_discovery("https://another.example");
    let scratch = Scratch::new();
    let service = service(&scratch, &forge.issuer, "client");
    let token = forge.signer.sign(&forge.claims(&json!({})));
    let response = service.exchange(&token, "");
    assert_eq!(
        (response.status, &response.json()["code"]),
        (503, &json!("oidc_discovery"))
    );
}

#[test]
fn metadata_that_leads_astray_is_not_followed() {
    for (change, code) in [
        (
            json!({"jwks_uri": "http://elsewhere.example/jwks"}),
            "oidc_url",
        ),
        (json!({"jwks_uri": "file:///etc/passwd"}), "oidc_url"),
        (
            json!({"introspection_endpoint": "http://elsewhere.example/i"}),
            "oidc_url",
        ),
        (
            json!({"id_token_signing_alg_values_supported": ["HS256"]}),
            "oidc_discovery",
        ),
        (json!({"jwks_uri": 7}), "oidc_discovery"),
    ] {
        let forge = Forge::new();
        let mut document = json!({
            "issuer": forge.issuer, "jwks_uri": format!("{}/jwks", forge.issuer),
        });
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        forge
            .backend
            .publish("/.well-known/openid-configuration", Some(document));
        let scratch = Scratch::new();
        let service = service(&scratch, &forge.issuer, "client");
        let token = forge.signer.sign(&forge.claims(&json!({})));
        let response = service.exchange(&token, "");
        assert_eq!(
            (response.status, &response.json()["code"]),
            (503, &json!(code)),
            "{change}"
        );
    }
}

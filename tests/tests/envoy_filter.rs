//! The filter in a real Envoy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::{BACKEND, Envoy};
use tokensmith_tests::tokens::{Signer, claims, now};

fn config(signers: &[Signer]) -> Value {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk.to_json()).collect();
    json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"], "jwks": {"keys": keys},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE"]}, "object": "metadata:nodes", "action": "delete"},
        ],
        "claim_headers": [{"claim": "email", "header": "x-email"}],
    })
}

fn signers() -> Vec<Signer> {
    [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ]
    .into_iter()
    .map(Signer::new)
    .collect()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn every_algorithm_passes_and_the_identity_arrives() {
    let signers = signers();
    let backend = Backend::start();
    let envoy = Envoy::start(&config(&signers), backend.port).unwrap();
    assert!(
        envoy
            .log()
            .contains("host_signatures=RS256,RS384,RS512,ES256"),
        "{}",
        envoy.log()
    );
    for signer in &signers {
        let token = bearer(&signer.sign(&claims(&json!({"email": "a@b\u{e9}"}))));
        for _ in 0..2 {
            let forged = [
                ("authorization", token.as_str()),
                ("x-tokensmith-subject", "root"),
                ("x-tokensmith-roles", "admin"),
                ("x-tokensmith-roles", "operator"),
                ("x-email", "root@b"),
            ];
            let response = envoy.request("GET", "/nodes/1?q=/../x", &forged);
            assert_eq!(response.status, 200, "{} {response:?}", signer.algorithm);
            let received = response.json();
            assert_eq!(received["target"], "/nodes/1?q=/../x");
            assert_eq!(
                received["headers"]["x-tokensmith-subject"],
                json!(["alice"])
            );
            assert_eq!(received["headers"]["x-tokensmith-roles"], json!(["viewer"]));
            assert_eq!(received["headers"]["x-tokensmith-scopes"], json!(["read"]));
            assert_eq!(
                received["headers"]["x-tokensmith-principal-type"],
                json!(["user"])
            );
            assert_eq!(received["headers"]["x-email"], json!(["a@b%C3%A9"]));
        }
    }
}

#[test]
fn what_must_not_pass() {
    let signers = signers();
    let backend = Backend::start();
    let envoy = Envoy::start(&config(&signers), backend.port).unwrap();
    let signer = &signers[2];
    let stranger = Signer::new(Algorithm::ES256);
    let good = signer.sign(&claims(&json!({})));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let encode = |value: Value| encode_base64url(value.to_string());
    let payload = encode(claims(&json!({"roles": ["admin"]})));
    let header = input.split_once('.').unwrap().0;
    let kid = signer.jwk.kid().unwrap();
    let cases: Vec<(&str, String, &str)> = vec![
        ("garbage", "garbage".into(), "token_malformed"),
        ("garbage in segments", "a.b.c".into(), "token_malformed"),
        (
            "alg none",
            format!("{}.{payload}.", encode(json!({"alg": "none", "kid": kid}))),
            "alg_refused",
        ),
        (
            "HMAC with the public key",
            format!(
                "{}.{payload}.{signature}",
                encode(json!({"alg": "HS256", "kid": kid}))
            ),
            "alg_refused",
        ),
        (
            "tampered claims",
            format!("{header}.{payload}.{signature}"),
            "signature_invalid",
        ),
        (
            "another's key",
            stranger.sign_with_header(&json!({"alg": "ES256", "kid": kid}), &claims(&json!({}))),
            "signature_invalid",
        ),
        (
            "unknown kid",
            stranger.sign(&claims(&json!({}))),
            "kid_unknown",
        ),
        (
            "RSA algorithm on an EC key",
            format!(
                "{}.{payload}.{signature}",
                encode(json!({"alg": "RS256", "kid": kid}))
            ),
            "key_alg_mismatch",
        ),
        (
            "expired",
            signer.sign(&claims(&json!({"exp": now() - 61}))),
            "token_expired",
        ),
        (
            "wrong audience",
            signer.sign(&claims(&json!({"aud": ["other"]}))),
            "audience_mismatch",
        ),
        (
            "wrong issuer",
            signer.sign(&claims(&json!({"iss": "https://evil.test"}))),
            "issuer_refused",
        ),
        (
            "string exp",
            signer.sign(&claims(&json!({"exp": "9999999999"}))),
            "claim_type",
        ),
        (
            "too long",
            format!("{good}{}", "A".repeat(17 * 1024)),
            "token_too_long",
        ),
        (
            "der signature",
            format!("{input}.{}", encode_base64url([0x30, 6, 2, 1, 1, 2, 1, 1])),
            "signature_invalid",
        ),
        (
            "zero signature",
            format!("{input}.{}", encode_base64url([0; 64])),
            "signature_invalid",
        ),
    ];
    for (name, token, code) in cases {
        let response = envoy.request("GET", "/nodes", &[("authorization", &bearer(&token))]);
        assert_eq!(response.status, 401, "{name}: {response:?}");
        let body = response.json();
        assert_eq!(body["schema"], "authz.deny.v1", "{name}");
        assert_eq!(body["code"], "AUTHN_INVALID", "{name}");
        assert_eq!(body["details"]["error"], code, "{name}");
        assert!(
            response
                .header("www-authenticate")
                .unwrap()
                .contains("error=\"invalid_token\"")
        );
    }
    let none = envoy.request("GET", "/nodes", &[]);
    assert_eq!(
        (none.status, none.json()["code"].as_str()),
        (401, Some("AUTHN_REQUIRED"))
    );
    let twice = [
        ("authorization", &*bearer(&good)),
        ("authorization", "Basic x"),
    ];
    assert_eq!(envoy.request("GET", "/nodes", &twice).status, 401);
    let log = envoy.log();
    assert!(!log.contains(signature), "a token was logged");
}

#[test]
fn roles_routes_and_paths() {
    let signers = signers();
    let backend = Backend::start();
    let envoy = Envoy::start(&config(&signers), backend.port).unwrap();
    let token = bearer(&signers[0].sign(&claims(&json!({}))));
    let authorization = [("authorization", token.as_str())];
    let denied = envoy.request("DELETE", "/nodes/1", &authorization);
    assert_eq!(denied.status, 403);
    let body = denied.json();
    assert_eq!(body["code"], "AUTHZ_DENIED");
    assert!(body["policy_version"].as_str().unwrap().starts_with("v2:"));
    assert!(body["request_id"].is_string());
    assert_eq!(
        envoy.request("GET", "/unmapped", &authorization).json()["code"],
        "AUTHZ_UNMAPPED"
    );
    let public = envoy.request("GET", "/public/x", &[("x-tokensmith-subject", "root")]);
    assert_eq!(public.status, 200);
    assert_eq!(public.json()["headers"].get("x-tokensmith-subject"), None);
    for target in [
        "/public/../nodes",
        "/public/%2e%2e/nodes",
        "/public%2fx",
        "/public//x",
        "/public;x",
        "/public/%00",
    ] {
        let response = envoy.request("GET", target, &[]);
        assert_eq!(response.status, 400, "{target}: {response:?}");
    }
    assert_eq!(envoy.request("GET", "/publicfoo", &[]).status, 401);
}

#[test]
fn keys_are_fetched_and_followed() {
    let (old, new) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::RS256));
    let backend = Backend::start();
    backend.publish("/jwks", Some(json!({"keys": [old.jwk.to_json()]})));
    let mut filter = config(&[]);
    let issuer = filter["issuers"][0].as_object_mut().unwrap();
    issuer.remove("jwks");
    issuer.insert("jwks_uri".into(), "http://issuer.test/jwks".into());
    issuer.insert("jwks_cluster".into(), BACKEND.into());
    let envoy = Envoy::start(&filter, backend.port).unwrap();
    let status = |signer: &Signer| {
        let token = bearer(&signer.sign(&claims(&json!({}))));
        envoy
            .request("GET", "/nodes", &[("authorization", &token)])
            .status
    };
    let becomes = |signer: &Signer, wanted: u16, seconds: u64| {
        let end = Instant::now() + Duration::from_secs(seconds);
        while status(signer) != wanted {
            assert!(Instant::now() < end, "never {wanted}\n{}", envoy.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    becomes(&old, 200, 10);
    assert_eq!(status(&new), 401);
    backend.publish("/jwks", Some(json!({"keys": [new.jwk.to_json()]})));
    // The cool-down between two fetches is 30 seconds.
    becomes(&new, 200, 45);
    assert_eq!(
        status(&old),
        401,
        "a withdrawn key verifies no longer, cached verdicts included"
    );
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    let good = config(&signers());
    let with = |name: &str, value: Value| {
        let mut config = good.clone();
        config[name] = value;
        config
    };
    let cases = [
        (with("mod", json!("enforce")), "unknown field `mod`"),
        (with("mode", json!("ENFORCE")), "unknown variant `ENFORCE`"),
        (
            with("issuers", json!([])),
            "`issuers`: needs at least one issuer",
        ),
        (
            with("policy", json!({"rules": "p, role:viewer, nodes"})),
            "policy.rules:1:1: policy row needs 3 values",
        ),
        (
            with(
                "issuers",
                json!([{"issuer": "i", "audiences": ["a"], "jwks_uri": "http://h/jwks"}]),
            ),
            "jwks_cluster",
        ),
    ];
    for (filter, message) in cases {
        match Envoy::start(&filter, 9) {
            Ok(_) => panic!("Envoy came up in spite of {message}"),
            Err(log) => assert!(log.contains(message), "{message} is not in {log}"),
        }
    }
}

#[test]
fn other_issuers_claims_are_mapped_and_requirements_hold() {
    let signers = signers();
    let backend = Backend::start();
    let mut config = config(&signers);
    let issuer = &mut config["issuers"][0];
    issuer["profile"] = json!("generic");
    issuer["principal"] = json!({
        "roles": [{"claim": ["realm_access", "roles"], "prefix": "site-"}],
        "service_clients": ["inventory-sync"],
    });
    issuer["require"] = json!({"min_auth_level": "AAL2"});
    let envoy = Envoy::start(&config, backend.port).unwrap();
    let send = |change: Value| {
        let mut all = json!({
            "iss": "https://issuer.test", "sub": "sync", "aud": "svc", "exp": now() + 60,
            "auth_level": "AAL2", "realm_access": {"roles": ["site-viewer", "offline_access"]},
            "azp": "inventory-sync", "roles": ["admin"],
        });
        let change = change.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(change);
        let token = bearer(&signers[0].sign(&all));
        envoy.request("GET", "/nodes", &[("authorization", &token)])
    };
    let received = send(json!({})).json();
    assert_eq!(received["headers"]["x-tokensmith-roles"], json!(["viewer"]));
    assert_eq!(
        received["headers"]["x-tokensmith-principal-type"],
        json!(["service"])
    );
    assert_eq!(send(json!({"realm_access": null})).status, 403);
    let weak = send(json!({"auth_level": "AAL1"}));
    assert_eq!(weak.status, 401);
    assert_eq!(weak.json()["details"]["error"], "auth_level_too_low");
    let challenge = weak.header("www-authenticate").unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_user_authentication""#),
        "{challenge}"
    );
    config["issuers"][0]["principal"]["roles"][0]["claim"] = json!([]);
    let log = Envoy::start(&config, backend.port).unwrap_err();
    assert!(log.contains("issuers[0].principal.roles[0].claim"), "{log}");
}

#[test]
fn bound_tokens_need_their_proof() {
    let signers = signers();
    let client = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let envoy = Envoy::start(&config(&signers), backend.port).unwrap();
    // What the test client addresses.
    let authority = "test";
    let uri = format!("http://{authority}/nodes/1");
    let cnf = json!({"cnf": {"jkt": client.jwk.thumbprint()}});
    let token = signers[2].sign(&claims(&cnf));
    let certificate = encode_base64url([1; 32]);
    let other = signers[2].sign(&claims(&json!({"cnf": {"x5t#S256": certificate}})));
    let ask = |scheme: &str, token: &str, proof: Option<&str>| {
        let authorization = format!("{scheme} {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(proof.map(|proof| ("dpop", proof)));
        let response = envoy.request("GET", "/nodes/1?limit=1", &headers);
        let code = match response.status {
            200 => String::new(),
            _ => response.json()["details"]["error"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        (code, response)
    };
    for jti in ["a", "b"] {
        let good = client.proof(&uri, &token, &json!({}), &json!({"jti": jti}));
        assert_eq!(ask("DPoP", &token, Some(&good)).0, "");
    }
    let good = client.proof(&uri, &token, &json!({}), &json!({"jti": "c"}));
    let (code, response) = ask("DPoP", &token, None);
    assert_eq!(code, "dpop_missing");
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP realm="), "{challenge}");
    assert_eq!(ask("Bearer", &token, Some(&good)).0, "dpop_scheme");
    let elsewhere = client.proof(
        &format!("http://{authority}/nodes/2"),
        &token,
        &json!({}),
        &json!({}),
    );
    assert_eq!(
        ask("DPoP", &token, Some(&elsewhere)).0,
        "dpop_target_mismatch"
    );
    // This listener has no TLS, so there is no certificate to show.
    assert_eq!(ask("Bearer", &other, None).0, "certificate_missing");
}

//! The request decision, end to end through the engine with a recorded token.
#![cfg(feature = "aws-lc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::decide::{Config, Decider, Memory, Outcome, Request};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::{KeyRing, aws_lc::AwsLc};

const VECTORS: &str = include_str!("../../tests/vectors/authn.json");

struct Fixture {
    decider: Decider,
    ring: KeyRing,
    memory: Memory,
    authorization: String,
}

impl Fixture {
    fn new(change: Value) -> Self {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let set =
            JwkSet::parse(vectors["jwks"].to_string().as_bytes(), &Limits::default()).unwrap();
        let mut config = json!({
            "issuers": [{"issuer": "iss", "audiences": ["svc"], "jwks": vectors["jwks"]}],
            "routes": [
                {"match": {"exact": "/health"}, "public": true},
                {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            ],
            "claim_headers": [{"claim": "aud", "header": "X-Audience"}],
        });
        for (name, value) in change.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config = Config::from_json(config.to_string().as_bytes()).unwrap();
        let valid = vectors["cases"].as_array().unwrap().iter();
        let valid = valid
            .clone()
            .find(|case| case["name"] == "alg-ok-ES256")
            .unwrap();
        Self {
            decider: Decider::new(&config, Limits::default(), AwsLc).unwrap(),
            ring: KeyRing::new([("iss", &set)], &AwsLc),
            memory: Memory::new(8, [0; 16]),
            authorization: valid["authorization"][0].as_str().unwrap().to_owned(),
        }
    }

    fn decide(
        &mut self,
        method: &str,
        target: &str,
        with_token: bool,
        now: i64,
    ) -> Outcome<'static> {
        let request = Request {
            method,
            target,
            authorization: with_token.then_some(self.authorization.as_str()),
            request_id: Some("r-1"),
            ..Request::default()
        };
        self.decider
            .decide(&request, &self.ring, &mut self.memory, now)
            .into_owned()
    }
}

fn body(outcome: &Outcome<'_>) -> Value {
    serde_json::from_slice(&outcome.denial.as_ref().unwrap().body).unwrap()
}

#[test]
fn statuses_and_codes() {
    let mut fixture = Fixture::new(json!({}));
    let cases = [
        ("GET", "/health", false, 150, None),
        ("GET", "/health/", false, 150, None),
        ("GET", "/healthz", false, 150, Some((401, "AUTHN_REQUIRED"))),
        ("GET", "/nodes", false, 150, Some((401, "AUTHN_REQUIRED"))),
        ("GET", "/nodes", true, 460, Some((401, "AUTHN_INVALID"))),
        ("GET", "/nodes", true, 39, Some((401, "AUTHN_INVALID"))),
        ("GET", "/nodes", true, 150, Some((403, "AUTHZ_DENIED"))),
        ("POST", "/nodes", true, 150, Some((403, "AUTHZ_UNMAPPED"))),
        (
            "GET",
            "/health/../nodes",
            true,
            150,
            Some((400, "BAD_REQUEST")),
        ),
        (
            "GET",
            "/health%2f..%2fnodes",
            false,
            150,
            Some((400, "BAD_REQUEST")),
        ),
    ];
    for (method, target, with_token, now, expected) in cases {
        let outcome = fixture.decide(method, target, with_token, now);
        let found = outcome.denial.as_ref().map(|denial| denial.status);
        assert_eq!(
            found,
            expected.map(|(status, _)| status),
            "{method} {target}"
        );
        assert_eq!(
            outcome.strip.len(),
            5,
            "identity headers are always stripped"
        );
        if let Some((status, code)) = expected {
            let body = body(&outcome);
            assert_eq!(body["schema_version"], "authz.deny.v1");
            assert_eq!(body["code"], code);
            assert_eq!(body["request_id"], "r-1");
            assert_eq!(body["policy_version"], fixture.decider.policy_version());
            let challenge = outcome
                .denial
                .unwrap()
                .headers
                .iter()
                .any(|(name, _)| *name == "www-authenticate");
            assert_eq!(challenge, status == 401);
        }
    }
}

#[test]
fn an_expired_token_is_refused_though_it_was_cached() {
    let mut fixture = Fixture::new(json!({"mode": "shadow"}));
    assert!(fixture.decide("GET", "/nodes", true, 150).is_allowed());
    assert_eq!(fixture.memory.tokens.len(), 1);
    assert!(fixture.decide("GET", "/nodes", true, 459).is_allowed());
    assert!(!fixture.decide("GET", "/nodes", true, 460).is_allowed());
}

#[test]
fn shadow_records_and_lets_through_but_never_without_a_token() {
    let mut fixture = Fixture::new(json!({"mode": "shadow"}));
    let outcome = fixture.decide("GET", "/nodes", true, 150);
    assert!(outcome.is_allowed());
    assert_eq!(
        (outcome.record.decision, outcome.record.reason),
        ("indeterminate", "policy_denied")
    );
    assert!(fixture.decide("POST", "/other", true, 150).is_allowed());
    assert!(!fixture.decide("GET", "/nodes", false, 150).is_allowed());
}

#[test]
fn off_checks_nothing_and_still_strips() {
    let mut fixture = Fixture::new(json!({"mode": "off"}));
    let outcome = fixture.decide("GET", "/a/../b", false, 150);
    assert!(outcome.is_allowed() && outcome.identity.is_none());
    assert!(outcome.strip.iter().any(|name| name == "x-audience"));
}

#[test]
fn identity_headers() {
    let mut fixture = Fixture::new(json!({"mode": "shadow"}));
    let outcome = fixture.decide("GET", "/nodes", true, 150);
    let identity = outcome.identity.unwrap();
    let expected = [
        ("x-tokensmith-subject", "u1"),
        ("x-tokensmith-principal-type", "service"),
        ("x-audience", "svc"),
    ];
    let found: Vec<_> = identity
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn an_unknown_key_asks_for_keys() {
    let mut fixture = Fixture::new(json!({}));
    fixture.ring = KeyRing::default();
    let outcome = fixture.decide("GET", "/nodes", true, 150);
    assert_eq!(outcome.wanted.as_ref().unwrap().issuer, "iss");
    assert_eq!(outcome.wanted.as_ref().unwrap().kid, None);
    assert_eq!(outcome.denial.as_ref().unwrap().status, 503);
    assert_eq!(body(&outcome)["code"], "AUTHN_UNAVAILABLE");
}

#[test]
fn configuration_mistakes_name_the_field() {
    let jwks: Value = serde_json::from_str(VECTORS).unwrap();
    let issuer = json!({"issuer": "iss", "audiences": ["svc"], "jwks": jwks["jwks"]});
    let with = |name: &str, value: Value| {
        let mut issuer = issuer.clone();
        issuer[name] = value;
        json!({"issuers": [issuer]})
    };
    let route = |route: Value| json!({"issuers": [issuer], "routes": [route]});
    let cases = [
        (json!({}), "missing field `issuers`"),
        (json!({"issuers": []}), "issuers"),
        (
            json!({"issuers": [issuer], "mod": "off"}),
            "unknown field `mod`",
        ),
        (
            json!({"issuers": [issuer], "mode": "ENFORCE"}),
            "unknown variant `ENFORCE`",
        ),
        (json!({"issuers": [issuer, issuer]}), "issuers[1].issuer"),
        (with("audiences", json!([])), "issuers[0].audiences"),
        (with("jwks", Value::Null), "issuers[0].jwks"),
        (with("clock_skew_s", json!(601)), "issuers[0].clock_skew_s"),
        (with("profile", json!("other")), "unknown variant `other`"),
        (route(json!({"match": {}, "public": true})), "routes[0]"),
        (
            route(json!({"match": {"prefix": "/a", "exact": "/a"}, "public": true})),
            "routes[0]",
        ),
        (
            route(json!({"match": {"prefix": "a"}, "public": true})),
            "routes[0]",
        ),
        (route(json!({"match": {"prefix": "/a"}})), "routes[0]"),
        (
            route(json!({"match": {"prefix": "/a"}, "object": "o"})),
            "routes[0]",
        ),
        (
            json!({"issuers": [issuer], "policy": {"rules": "p, a, b"}}),
            "policy.rules:1:1",
        ),
        (
            json!({"issuers": [issuer], "policy": {"model": "x", "rules": ""}}),
            "policy.model:1:1",
        ),
        (
            json!({"issuers": [issuer], "claim_headers": [{"claim": "a", "header": "a b"}]}),
            "claim_headers[0].header",
        ),
        (
            json!({"issuers": [issuer], "cache": {"entries": 1_000_001}}),
            "cache.entries",
        ),
    ];
    for (config, message) in cases {
        let error = Config::from_json(config.to_string().as_bytes())
            .and_then(|config| Decider::new(&config, Limits::default(), AwsLc).map(drop))
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

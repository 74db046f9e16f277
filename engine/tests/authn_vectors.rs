//! Recorded cases of the service this one replaces, with every difference named and reasoned.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
use serde_json::Value;
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::decide::{Config, Decider, Memory, Request};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::{External, KeyRing, SignatureProvider, Verifier};

const VECTORS: &str = include_str!("../../tests/vectors/authn.json");

/// Where this engine answers differently, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "header-form-14",
        "two `Authorization` headers are no credentials, whatever the first one says",
    ),
    (
        "ec-leading-zero-go-kid",
        "keys are found by the `kid` they are published with, or their RFC 7638 thumbprint",
    ),
    (
        "kid-dup-last-wins",
        "duplicate header members are refused (RFC 7515 section 4)",
    ),
    (
        "hdr-crit",
        "an extension that is not understood is refused (RFC 7515 section 4.1.11)",
    ),
    (
        "hdr-b64false",
        "unencoded payloads are no tokens (RFC 7797 section 7)",
    ),
    ("time-exp+119s", "the leeway holds for `exp`"),
    ("time-exp+1ns", "the leeway holds for `exp`"),
    ("time-exp+1s", "the leeway holds for `exp`"),
    ("time-nbf-1ns", "the leeway holds for `nbf`"),
    ("time-nbf-1s", "the leeway holds for `nbf`"),
    ("time-nbf-120s", "the leeway holds for `nbf`"),
    ("claim-session_exp-past", "an ended session ends its tokens"),
    ("claim-session_exp-neg", "an ended session ends its tokens"),
    (
        "claim-scope-string",
        "`scope` is a string in RFC 8693 section 4.2",
    ),
    (
        "claim-case-insensitive-names",
        "claim names are compared exactly (RFC 7519 section 4)",
    ),
    (
        "claim-session-float",
        "NumericDate may have a fraction (RFC 7519 section 2)",
    ),
    (
        "claim-extra-roles",
        "a token made for refreshing is no access token",
    ),
    ("claim-sub-space", "a blank `sub` names nobody"),
    (
        "claim-exp-string",
        "a NumericDate is a number (RFC 7519 section 2)",
    ),
    (
        "claim-duplicate-sub",
        "duplicate claims are refused (RFC 7519 section 4)",
    ),
    (
        "static-value-type",
        "the case is about a type of another programming language; the token is valid",
    ),
];

#[cfg(feature = "aws-lc")]
#[test]
fn recorded_cases_with_aws_lc() {
    check(&tokensmith_engine::verify::aws_lc::AwsLc);
}

#[cfg(feature = "portable")]
#[test]
fn recorded_cases_with_portable() {
    check(&tokensmith_engine::verify::portable::Portable);
}

fn check(provider: &dyn SignatureProvider) {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let jwks = vectors["jwks"].to_string();
    let set = JwkSet::parse(jwks.as_bytes(), &Limits::default()).unwrap();
    assert_eq!((set.keys.len(), set.rejected.len()), (5, 0));
    let ring = KeyRing::new([("iss", &set)], provider);
    assert_eq!(ring.rejected().next(), None);
    let config = serde_json::json!({
        "issuers": [{"issuer": "iss", "audiences": ["svc"], "jwks": vectors["jwks"], "clock_skew_s": 120}],
        "routes": [{"match": {"prefix": "/"}, "object": "o", "action": "a"}],
        "mode": "shadow",
    });
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    let decider = Decider::new(&config, Limits::default(), External).unwrap();
    let mut wrong = Vec::new();
    for case in vectors["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let authorization = case["authorization"].as_array().map(|values| {
            values
                .iter()
                .map(|value| value.as_str().unwrap())
                .collect::<Vec<_>>()
                .join(",")
        });
        let request = Request {
            method: "GET",
            target: "/res",
            authorization: authorization.as_deref(),
            ..Request::default()
        };
        let now = case["now"].as_i64().unwrap();
        let outcome = decider.decide(&request, &ring, &mut Memory::new(0, [0; 16]), now);
        let differs = DIFFERENCES
            .iter()
            .any(|(difference, _)| *difference == name);
        let upstream = case["upstream"] == "accept";
        if (outcome.is_allowed() == upstream) == differs {
            wrong.push(format!(
                "{name}: upstream {upstream}, here {:?}",
                outcome.record.error
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_ring_without_keys_verifies_nothing() {
    let verifier = Verifier::new([ClaimRules::tokensmith("iss", ["svc"])], Limits::default());
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let token = vectors["cases"][23]["authorization"][0].as_str().unwrap();
    let token = token.split(' ').next_back().unwrap();
    let error = verifier
        .verify(token, &KeyRing::default(), 150)
        .unwrap_err();
    assert_eq!(error.code(), "keys_unavailable");
}

//! Which headers the service behind receives, whatever the caller sends.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod deciding;

use deciding::{Deciding, forged, issuer, said, token};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokensmith_engine::decide::Outcome;

/// Changes of headers.
type Edits = Vec<(String, Option<String>)>;

fn edits(outcome: &Outcome<'_>) -> Edits {
    let edits = outcome.header_edits();
    edits
        .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
        .collect()
}

/// What the service behind receives of these headers, in lower case.
fn received(outcome: &Outcome<'_>, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
        .collect();
    for (name, value) in outcome.header_edits() {
        kept.retain(|(own, _)| own != name);
        kept.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    kept
}

#[test]
fn headers_of_all_tokens() {
    let own = Deciding::new(&json!({
        "issuers": [
            issuer("a", &json!({"payload_header": {"name": "X-Payload-A", "pad": true}})),
            issuer("b", &json!({
                "from": [{"header": "x-b"}], "payload_header": {"name": "x-payload-b"},
            })),
        ],
        "requires": {"all": ["a", "b"]},
        "claim_headers": [
            {"claim": "email", "header": "x-email"},
            {"claim": ["org", "unit", "tags"], "header": "X-Tags"},
            {"claim": "upn", "header": "x-email"},
            {"claim": "org", "header": "x-org"},
        ],
        "filter_state": {"claims": ["sub", ["org", "unit"], "none"]},
    }));
    let a = token("a", &json!({"email": "a@x", "upn": "u", "scope": "read"}));
    let b = token(
        "b",
        &json!({
            "email": "b@x", "roles": ["admin"], "org": {"unit": {"tags": ["p", 1, true]}},
        }),
    );
    let bearer = format!("Bearer {a}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-b", &b),
        ("x-org", "forged"),
    ];
    let outcome = own.ask(&headers);
    assert_eq!(said(&outcome), "pass a-user");
    assert_eq!(outcome.record.issuer.as_deref(), Some("a"));
    let payload = |token: &str| token.split('.').nth(1).unwrap().to_owned();
    let mut padded = payload(&a);
    while padded.len() % 4 != 0 {
        padded.push('=');
    }
    let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    let expected = [
        ("x-org".to_owned(), None),
        set("x-tokensmith-subject", "a-user"),
        set("x-tokensmith-principal-type", "user"),
        set("x-tokensmith-roles", "viewer"),
        set("x-tokensmith-scopes", "read"),
        set("x-email", "a@x"),
        set("x-payload-a", &padded),
        set("x-tags", "p,1,true"),
        set("x-payload-b", &payload(&b)),
    ];
    assert_eq!(edits(&outcome), expected);
    let exported = outcome.identity.as_ref().unwrap().exported_claims();
    assert_eq!(Value::Object(exported.clone()), json!({"sub": "a-user"}));
    assert_eq!(outcome.others.len(), 1);
    let exported = outcome.others[0].exported_claims();
    assert_eq!(exported["org.unit"], json!({"tags": ["p", 1, true]}));
}

/// Every header that is ever set by the configuration of the property below.
const SET: [&str; 7] = [
    "x-tokensmith-subject",
    "X-TokenSmith-Principal-Type",
    "x-tokensmith-roles",
    "x-tokensmith-scopes",
    "X-Email",
    "x-payload-a",
    "x-payload-b",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a caller sends, no header that is set here reaches the service with its value.
    #[test]
    fn forged_headers_never_pass(
        given in prop::collection::vec(0..SET.len(), 0..8),
        tokens in prop::collection::vec(0..5usize, 2),
        target in prop::sample::select(vec!["/public", "/nodes", "/off", "/shadow", "/anonymous", "/both", "/other"]),
        mode in prop::sample::select(vec!["off", "shadow", "enforce"]),
    ) {
        let route = |path: &str, change: Value| {
            let mut route = json!({"match": {"exact": path}, "object": "metadata:nodes", "action": "read"});
            for (name, value) in change.as_object().unwrap() {
                route[name] = value.clone();
            }
            route
        };
        let own = Deciding::new(&json!({
            "issuers": [
                issuer("a", &json!({"payload_header": {"name": "x-payload-a"}, "forward": false})),
                issuer("b", &json!({"from": [{"header": "x-b"}], "payload_header": {"name": "X-Payload-B"}})),
            ],
            "mode": mode,
            "policy": {"rules": "p, anonymous, metadata:nodes, read\np, role:viewer, metadata:nodes, read"},
            "claim_headers": [{"claim": "email", "header": "x-email"}],
            "routes": [
                {"match": {"exact": "/public"}, "public": true},
                route("/nodes", json!({})),
                route("/off", json!({"mode": "off"})),
                route("/shadow", json!({"mode": "shadow"})),
                route("/anonymous", json!({"requires": "allow_missing_or_failed"})),
                route("/both", json!({"requires": {"all": ["b", "a"]}})),
            ],
        }));
        let text = |issuer: &str, kind: usize| match kind {
            0 => None,
            1 => Some(token(issuer, &json!({}))),
            2 => Some(token(issuer, &json!({"email": "real", "scope": "s"}))),
            3 => Some(forged(&token(issuer, &json!({})))),
            _ => Some("no token".to_owned()),
        };
        let bearer = text("a", tokens[0]).map(|token| format!("Bearer {token}"));
        let b = text("b", tokens[1]);
        let mut headers: Vec<(&str, &str)> = given.iter().map(|name| (SET[*name], "forged")).collect();
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend(b.as_deref().map(|value| ("x-b", value)));
        let outcome = own.ask_for(target, &headers);
        let kept = received(&outcome, &headers);
        for name in SET {
            let own: Vec<&str> = kept
                .iter()
                .filter(|(own, _)| own.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
                .collect();
            prop_assert!(own.len() <= 1 && own.first() != Some(&"forged"), "{name}: {own:?}");
            // The principal's headers are of the principal's token only.
            if let (true, [value]) = (name.starts_with("x-tokensmith-"), own.as_slice()) {
                let identity = outcome.identity.as_ref().unwrap();
                prop_assert!(identity.headers().iter().any(|(own, set)| own == name && set == value));
            }
        }
        prop_assert_eq!(outcome.strip.len(), SET.len());
        let mut names: Vec<&str> = outcome.header_edits().map(|(name, _)| name).collect();
        let edits = names.len();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), edits, "each name once");
    }
}

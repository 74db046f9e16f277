//! docs/envoy-config.schema.json describes exactly the configuration that is read.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokensmith_engine::claims::Requirements;
use tokensmith_engine::decide::{
    CacheConfig, ClaimHeader, Config, Decider, FilterStateConfig, IssuerConfig, KeyWait,
    PayloadHeader, PolicyConfig, RouteConfig, RouteMatch, TokenLocation,
};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::principal::{PrincipalMapping, RoleClaim};
use tokensmith_engine::verify::External;

const SCHEMA: &str = include_str!("../../docs/envoy-config.schema.json");

/// Configurations, with two members that each needs left out: see [`whole`].
const GOOD: [&str; 11] = [
    r#"{}"#,
    r#"{"mode": "shadow", "default_route": "path_rest", "action_names": {"POST": "create"}}"#,
    r#"{"routes": [
        {"match": {"exact": "/health"}, "public": true},
        {"match": {"pattern": "/nodes/{id}/*", "methods": ["GET"], "host": "*.example.org"},
         "object": "node:{id}", "action": "read", "mode": "off", "requires": "https://a.example"},
        {"match": {"prefix": "/a"}, "object": "o", "action": "a", "requires": {"any": [
            "https://a.example", {"all": ["https://a.example", "allow_missing"]}, "allow_missing_or_failed"
        ]}}
    ]}"#,
    r#"{"requires": "allow_missing", "options_public": true, "record_roles": true, "deny_roles": false}"#,
    r#"{"claim_headers": [{"claim": "email", "header": "x-email"}, {"claim": ["a", "b"], "header": "X-B"}]}"#,
    r#"{"filter_state": {"claims": ["sub", ["a", "b"]]}, "clear_route_cache": true, "route_overrides": true}"#,
    r#"{"policy": {"model": "[request_definition]", "rules": "", "role_matching": {"g": "keyMatch"}, "domain_matching": {}}}"#,
    r#"{"policy": {"bundle_uri": "https://a.example/b", "bundle_cluster": "c", "bundle_issuer": "https://a.example",
        "bundle_jwks_uri": "https://a.example/k", "bundle_jwks_cluster": "k"}}"#,
    r#"{"shadow_policy": {"bundle_uri": "https://a.example/b", "bundle_issuer": "i", "bundle_jwks": {"keys": [{"kty": "RSA"}]}}}"#,
    r#"{"key_wait": {"requests": 0, "timeout_ms": 60000}, "cache": {"entries": 0}}"#,
    r#"{"key_wait": {}, "cache": {}, "routes": [], "claim_headers": [], "filter_state": {}}"#,
];

/// Issuers, with the two members that each needs left out.
const GOOD_ISSUERS: [&str; 6] = [
    r#"{"jwks_cluster": "c", "profile": "generic", "clock_skew_s": 0}"#,
    r#"{"from": [{"header": "authorization", "prefix": "Bearer "}, {"query": "access_token"}, {"cookie": "session"}]}"#,
    r#"{"from": [], "forward": false, "payload_header": {"name": "x-payload"}}"#,
    r#"{"payload_header": {"name": "x-payload", "pad": true}}"#,
    r#"{"require": {"min_auth_level": "IAL2", "minFactors": 2, "max_lifetime_s": 60, "sender_constrained": true, "claims": ["a"]}}"#,
    r#"{"principal": {"roles": [{"claim": ["a", "b"], "prefix": "p"}], "groups": "g",
        "groupRoles": {"x": ["y"]}, "service_clients": ["s"], "subjects": ["role", "scope"]}}"#,
];

const BAD: [&str; 32] = [
    r#"{"mod": "off"}"#,
    r#"{"mode": "on"}"#,
    r#"{"default_route": "allow"}"#,
    r#"{"action_names": {"POST": "create"}}"#,
    r#"{"default_route": "path_rest", "action_names": {"PO ST": "create"}}"#,
    r#"{"default_route": "path_rest", "action_names": {"POST": " "}}"#,
    r#"{"options_public": "yes"}"#,
    r#"{"routes": [{"match": {"exact": "/a"}}]}"#,
    r#"{"routes": [{"match": {"exact": "/a"}, "object": "o"}]}"#,
    r#"{"routes": [{"match": {"exact": "/a"}, "object": " ", "action": "a"}]}"#,
    r#"{"routes": [{"match": {"exact": "/a"}, "public": true, "object": "o", "action": "a"}]}"#,
    r#"{"routes": [{"match": {"exact": "/a"}, "public": true, "mode": "off"}]}"#,
    r#"{"routes": [{"match": {"exact": "/a", "prefix": "/a"}, "public": true}]}"#,
    r#"{"routes": [{"match": {"exact": "a"}, "public": true}]}"#,
    r#"{"routes": [{"match": {"exact": "/a", "methods": ["G T"]}, "public": true}]}"#,
    r#"{"requires": {"any": []}}"#,
    r#"{"requires": {"any": ["https://a.example"], "all": ["https://a.example"]}}"#,
    r#"{"requires": {"some": ["https://a.example"]}}"#,
    r#"{"requires": null, "claim_headers": [{"claim": [], "header": "x"}]}"#,
    r#"{"claim_headers": [{"claim": "a", "header": "a b"}]}"#,
    r#"{"claim_headers": [{"claim": "a"}]}"#,
    r#"{"filter_state": {"claims": [["a", ""]]}}"#,
    r#"{"filter_state": {"claim": []}}"#,
    r#"{"policy": {}}"#,
    r#"{"policy": {"rules": "", "bundle_issuer": "i"}}"#,
    r#"{"policy": {"bundle_uri": "u", "bundle_issuer": "i"}}"#,
    r#"{"policy": {"bundle_uri": "u", "bundle_jwks": {"keys": [{}]}}}"#,
    r#"{"policy": {"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks": {"keys": [{}]}, "bundle_jwks_cluster": "c"}}"#,
    r#"{"policy": {"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks": {"keys": [{}]}, "model": "m"}}"#,
    r#"{"key_wait": {"timeout_ms": 0}}"#,
    r#"{"key_wait": {"requests": 100001}}"#,
    r#"{"cache": {"entries": 1000001}}"#,
];

const BAD_ISSUERS: [&str; 17] = [
    r#"{"issuer": ""}"#,
    r#"{"issuer": "allow_missing"}"#,
    r#"{"audiences": []}"#,
    r#"{"audiences": [""]}"#,
    r#"{"jwks": {"keys": [{"kty": "RSA"}]}}"#,
    r#"{"clock_skew_s": 601}"#,
    r#"{"clock_skew_s": -1}"#,
    r#"{"profile": "other"}"#,
    r#"{"from": [{}]}"#,
    r#"{"from": [{"header": "a", "query": "b"}]}"#,
    r#"{"from": [{"query": "b", "prefix": "p"}]}"#,
    r#"{"from": [{"query": "a b"}]}"#,
    r#"{"forward": 1}"#,
    r#"{"payload_header": {"pad": true}}"#,
    r#"{"require": {"min_auth_level": "high"}}"#,
    r#"{"require": {"min_factors": -1}}"#,
    r#"{"principal": {"subjects": []}}"#,
];

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn issuer(change: &str) -> Value {
    let mut issuer = json!({
        "issuer": "https://a.example", "audiences": ["a"], "jwks_uri": "https://a.example/k",
    });
    lay_over(&mut issuer, change);
    issuer
}

fn whole(change: &str) -> Value {
    let mut config = json!({"issuers": [issuer("{}")]});
    lay_over(&mut config, change);
    config
}

fn lay_over(whole: &mut Value, change: &str) {
    let change: Value = serde_json::from_str(change).unwrap();
    for (name, value) in change.as_object().unwrap() {
        whole[name] = value.clone();
    }
}

/// What is wrong with the text of an unknown member tells which are known.
fn expected(error: &str) -> BTreeSet<String> {
    let (_, names) = error.split_once("`, expected ").unwrap();
    names
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn members<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(json!({"no such member": 0}));
    expected(&error.err().unwrap().to_string())
}

fn members_of_overrides() -> BTreeSet<String> {
    let config = Config::from_json(whole("{}").to_string().as_bytes()).unwrap();
    let decider = Decider::new(&config, Limits::default(), External).unwrap();
    let made = decider.route_override(r#"{"no such member":0}"#);
    expected(&made.error().unwrap().to_string())
}

#[test]
fn members_are_those_that_are_read() {
    let schema = schema();
    let read: BTreeMap<&str, BTreeSet<String>> = BTreeMap::from([
        ("", members::<Config>()),
        ("cache", members::<CacheConfig>()),
        ("claim_header", members::<ClaimHeader>()),
        ("filter_state", members::<FilterStateConfig>()),
        ("issuer", members::<IssuerConfig>()),
        ("key_wait", members::<KeyWait>()),
        ("match", members::<RouteMatch>()),
        ("payload_header", members::<PayloadHeader>()),
        ("policy", members::<PolicyConfig>()),
        ("principal", members::<PrincipalMapping>()),
        ("requirements", members::<Requirements>()),
        ("role_claim", members::<RoleClaim>()),
        ("route", members::<RouteConfig>()),
        ("route_override", members_of_overrides()),
        ("token_location", members::<TokenLocation>()),
    ]);
    // A JWK set may have any further members.
    let definitions = schema["$defs"].as_object().unwrap();
    let closed = definitions.iter().filter(|(name, _)| *name != "jwks");
    let mut described: BTreeMap<&str, BTreeSet<String>> = closed
        .filter_map(|(name, own)| Some((name.as_str(), names(own)?)))
        .collect();
    described.insert("", names(&schema).unwrap());
    assert_eq!(described, read);
    for (name, own) in definitions
        .iter()
        .filter(|(name, _)| read.contains_key(name.as_str()))
    {
        assert_eq!(own["additionalProperties"], false, "{name}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

fn names(object: &Value) -> Option<BTreeSet<String>> {
    Some(
        object
            .get("properties")?
            .as_object()?
            .keys()
            .cloned()
            .collect(),
    )
}

#[test]
fn examples_are_good_and_bad_for_both() {
    assert!(jsonschema::meta::is_valid(&schema()));
    let validator: Validator = jsonschema::validator_for(&schema()).unwrap();
    let with_issuer = |change: &&str| json!({"issuers": [issuer(change)]});
    let good = GOOD.iter().map(|change| whole(change));
    let bad = BAD.iter().map(|change| whole(change));
    let all = good
        .chain(GOOD_ISSUERS.iter().map(with_issuer))
        .map(|config| (config, true))
        .chain(
            bad.chain(BAD_ISSUERS.iter().map(with_issuer))
                .map(|config| (config, false)),
        );
    for (config, is_good) in all {
        let read = Config::from_json(config.to_string().as_bytes());
        assert_eq!(read.is_ok(), is_good, "{config}: {read:?}");
        assert_eq!(validator.is_valid(&config), is_good, "{config}");
    }
    let none = json!({"issuers": []});
    assert!(!validator.is_valid(&none) && !validator.is_valid(&json!({})));
}

#[test]
fn what_is_written_is_good_too() {
    let validator: Validator = jsonschema::validator_for(&schema()).unwrap();
    let configs = GOOD.iter().map(|change| whole(change));
    let issuers = GOOD_ISSUERS
        .iter()
        .map(|change| json!({"issuers": [issuer(change)]}));
    for config in configs.chain(issuers) {
        let read = Config::from_json(config.to_string().as_bytes()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert!(validator.is_valid(&written), "{written}");
        let again = Config::from_json(written.to_string().as_bytes()).unwrap();
        assert_eq!(again, read);
    }
}

#[test]
fn overrides_are_good_and_bad_for_both() {
    let mut schema = schema();
    let definitions = schema["$defs"].take();
    let mut own = definitions["route_override"].clone();
    own["$defs"] = definitions;
    let validator: Validator = jsonschema::validator_for(&own).unwrap();
    let config = Config::from_json(whole("{}").to_string().as_bytes()).unwrap();
    let decider = Decider::new(&config, Limits::default(), External).unwrap();
    for (text, is_good) in [
        (r#"{}"#, true),
        (r#"{"public": true}"#, true),
        (r#"{"public": true, "mode": "off"}"#, true),
        (
            r#"{"object": "a b", "action": "c", "mode": "shadow"}"#,
            true,
        ),
        (
            r#"{"public": false, "requires": {"any": ["https://a.example", "allow_missing"]}}"#,
            true,
        ),
        (r#"{"public": true, "object": "o"}"#, false),
        (r#"{"object": " "}"#, false),
        (r#"{"object": "{id}"}"#, false),
        (r#"{"mode": "on"}"#, false),
        (r#"{"roles": []}"#, false),
        (r#"{"requires": {}}"#, false),
    ] {
        let made = decider.route_override(text);
        assert_eq!(
            made.error().is_none(),
            is_good,
            "{text}: {:?}",
            made.error()
        );
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(validator.is_valid(&value), is_good, "{text}");
    }
}

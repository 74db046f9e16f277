//! What is decided by: policies that come and go, one beside another, modes of routes, and what
//! the proxy's route says.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod deciding;

use deciding::{Deciding, NOW, forged, issuer, jwks, said, token};
use serde_json::{Value, json};
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::decide::{Config, Outcome, Request, Step};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::Origin;
use tokensmith_engine::policy::{BASELINE_MODEL, Source, compile};

fn policy(rules: &str) -> CompiledPolicy {
    let model = Source {
        name: "model",
        text: BASELINE_MODEL,
    };
    let rules = Source {
        name: "site.csv",
        text: rules,
    };
    compile(model, &[rules]).unwrap()
}

fn bundle() -> Value {
    json!({
        "bundle_uri": "https://tokensmith.example/policy/bundle", "bundle_cluster": "tokensmith",
        "bundle_issuer": "https://tokensmith.example", "bundle_jwks": jwks(),
    })
}

fn bearer() -> String {
    format!("Bearer {}", token("a", &json!({})))
}

fn record(outcome: &Outcome<'_>) -> Value {
    serde_json::to_value(&outcome.record).unwrap()
}

#[test]
fn without_a_policy_nothing_is_allowed() {
    let mut own = Deciding::new(&json!({"policy": bundle()}));
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(
        (own.decider.policy_version(), own.decider.has_policy()),
        ("", false)
    );
    let early = own.ask(&headers);
    assert_eq!(said(&early), "503 AUTHZ_UNAVAILABLE");
    assert!(early.came_early() && early.wanted.is_none());
    assert_eq!(
        (early.record.decision, early.record.reason),
        ("error", "policy_unavailable")
    );
    let denial = early.denial.as_ref().unwrap();
    assert!(denial.headers.contains(&("retry-after", "1".to_owned())));
    assert!(own.ask_for("/public", &[]).is_allowed());
    assert_eq!(said(&own.ask(&[])), "401 AUTHN_REQUIRED");
    let bad = forged(&bearer);
    assert_eq!(
        said(&own.ask(&[("authorization", &bad)])),
        "401 signature_invalid"
    );
    let checks = own.checks.get();

    own.decider
        .set_policy(policy("p, role:viewer, metadata:nodes, read"))
        .unwrap();
    let allowed = own.ask(&headers);
    assert_eq!(said(&allowed), "pass a-user");
    let version = own.decider.policy_version().to_owned();
    assert!(own.decider.has_policy() && !version.is_empty());
    assert_eq!(*allowed.record.policy_version, *version);
    assert_eq!(record(&allowed)["matched_rules"], json!(["site.csv:1"]));

    // A copy decides by its own policy from then on.
    let mut copy = own.decider.clone();
    copy.set_policy(policy("p, role:viewer, metadata:nodes, write"))
        .unwrap();
    assert_ne!(copy.policy_version(), version);
    assert_eq!(said(&own.ask(&headers)), "pass a-user");
    own.decider = copy;
    assert_eq!(said(&own.ask(&headers)), "403 AUTHZ_DENIED");

    let model = BASELINE_MODEL.replace("r = sub, obj, act", "r = sub, obj, act, more");
    assert_ne!(model, BASELINE_MODEL);
    let model = Source {
        name: "model",
        text: &model,
    };
    let error = own
        .decider
        .set_policy(compile(model, &[]).unwrap())
        .unwrap_err();
    assert!(error.to_string().contains("`policy.model`"), "{error}");
    assert_eq!(said(&own.ask(&headers)), "403 AUTHZ_DENIED");

    own.decider.clear_policy();
    assert_eq!(said(&own.ask(&headers)), "503 AUTHZ_UNAVAILABLE");
    assert_eq!(
        own.checks.get(),
        checks,
        "what is known of tokens stays known"
    );
}

#[test]
fn shadow_mode_without_a_policy_hands_on() {
    let own = Deciding::new(&json!({"policy": bundle(), "mode": "shadow"}));
    let outcome = own.ask(&[("authorization", &bearer())]);
    assert!(outcome.is_allowed() && !outcome.came_early());
    assert_eq!(
        (outcome.record.decision, outcome.record.reason),
        ("error", "policy_unavailable")
    );
}

#[test]
fn bundles_have_their_own_keys() {
    let parsed = |policy: Value| {
        let config = json!({"issuers": [issuer("a", &json!({}))], "policy": policy});
        Config::from_json(config.to_string().as_bytes()).unwrap()
    };
    let limits = Limits::default();
    let own = parsed(bundle()).policy_bundle(&limits).unwrap().unwrap();
    assert_eq!(own.uri, "https://tokensmith.example/policy/bundle");
    assert_eq!(
        (own.issuer.as_str(), own.keys.issuer.as_str()),
        ("https://tokensmith.example", "https://tokensmith.example")
    );
    assert_eq!(
        (own.cluster.as_deref(), own.keys_cluster.as_deref()),
        (Some("tokensmith"), Some("tokensmith"))
    );
    assert!(matches!(&own.keys.origin, Origin::Configured(_)));
    let mut remote = bundle();
    remote.as_object_mut().unwrap().remove("bundle_jwks");
    remote["bundle_jwks_uri"] = json!("https://keys.example");
    remote["bundle_jwks_cluster"] = json!("keys");
    let own = parsed(remote).policy_bundle(&limits).unwrap().unwrap();
    assert_eq!(own.keys_cluster.as_deref(), Some("keys"));
    assert!(
        matches!(&own.keys.origin, Origin::Remote { url, .. } if url == "https://keys.example")
    );
    let plain = parsed(json!({"rules": ""}));
    assert!(plain.policy_bundle(&limits).unwrap().is_none());
    assert!(plain.shadow_policy_bundle(&limits).unwrap().is_none());
    let mut empty = bundle();
    empty["bundle_jwks"] = json!({"keys": []});
    let error = parsed(empty)
        .policy_bundle(&limits)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`policy.bundle_jwks`"), "{error}");
}

#[test]
fn shadow_policies_are_only_recorded() {
    let rules = "p, role:viewer, metadata:nodes, read";
    let other = "p, role:admin, metadata:nodes, read";
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str())];
    for (enforced, shadow, expected, differs) in [
        (rules, rules, ("pass a-user", "allow", ""), false),
        (rules, other, ("pass a-user", "deny", "policy_denied"), true),
        (other, rules, ("403 AUTHZ_DENIED", "allow", ""), true),
        (
            other,
            other,
            ("403 AUTHZ_DENIED", "deny", "policy_denied"),
            false,
        ),
    ] {
        let own = Deciding::new(&json!({
            "policy": {"rules": enforced}, "shadow_policy": {"rules": shadow},
        }));
        let outcome = own.ask(&headers);
        let record = record(&outcome);
        let (end, decision, reason) = expected;
        assert_eq!(said(&outcome), end, "{record}");
        assert_eq!(
            (&record["shadow"]["decision"], &record["shadow"]["reason"]),
            (&json!(decision), &json!(reason))
        );
        assert_eq!(outcome.shadow_differs(), differs);
        let version = own.decider.shadow_policy_version().unwrap();
        assert_eq!(record["shadow"]["policy_version"], version);
        let matched = if decision == "allow" {
            json!(["shadow_policy.rules:1"])
        } else {
            Value::Null
        };
        assert_eq!(record["shadow"]["matched_rules"], matched);
        assert!(own.ask(&[]).record.shadow.is_none(), "nothing was asked");
    }
    let mut own = Deciding::new(&json!({"policy": {"rules": rules}, "shadow_policy": bundle()}));
    assert_eq!(own.decider.shadow_policy_version(), Some(""));
    let outcome = own.ask(&headers);
    assert_eq!(said(&outcome), "pass a-user");
    assert_eq!(
        record(&outcome)["shadow"],
        json!({"decision": "error", "reason": "policy_unavailable", "policy_version": ""})
    );
    own.decider.set_shadow_policy(policy(rules)).unwrap();
    assert!(!own.ask(&headers).shadow_differs());
    own.decider.clear_shadow_policy();
    assert!(own.ask(&headers).shadow_differs());
    let mut none = Deciding::new(&json!({}));
    none.decider.set_shadow_policy(policy(rules)).unwrap();
    assert_eq!(none.decider.shadow_policy_version(), None);
    assert!(none.ask(&headers).record.shadow.is_none());
}

#[test]
fn modes_of_routes() {
    let route = |path: &str, mode: &str| json!({"match": {"prefix": path}, "object": "metadata:nodes", "action": "delete", "mode": mode});
    let routes = json!([
        route("/off", "off"), route("/shadow", "shadow"), route("/enforce", "enforce"),
        {"match": {"prefix": "/plain"}, "object": "metadata:nodes", "action": "delete"},
    ]);
    let bearer = bearer();
    let token = [("authorization", bearer.as_str())];
    for mode in ["off", "shadow", "enforce"] {
        let own = Deciding::new(&json!({"mode": mode, "routes": routes}));
        for (path, named) in [
            ("/off", "off"),
            ("/shadow", "shadow"),
            ("/enforce", "enforce"),
            ("/plain", mode),
        ] {
            let (with, without) = (own.ask_for(path, &token), own.ask_for(path, &[]));
            let expected = match named {
                "off" => ("pass ", "pass "),
                "shadow" => ("pass a-user", "401 AUTHN_REQUIRED"),
                _ => ("403 AUTHZ_DENIED", "401 AUTHN_REQUIRED"),
            };
            assert_eq!(
                (said(&with).as_str(), said(&without).as_str()),
                expected,
                "{mode} {path}"
            );
            assert_eq!((with.record.mode, without.record.mode), (named, named));
        }
        // Which route it is for cannot be told.
        assert_eq!(
            said(&own.ask_for("/off/../enforce", &token)),
            "400 BAD_REQUEST"
        );
    }
}

#[test]
fn overrides_are_laid_over_routes() {
    let own = Deciding::new(&json!({
        "issuers": [issuer("a", &json!({})), issuer("b", &json!({"from": [{"header": "x-b"}]}))],
        "route_overrides": true,
        "policy": {"rules": "p, role:viewer, metadata:nodes, read\np, role:viewer, other, read"},
    }));
    assert!(own.decider.reads_route_override());
    let (bearer, b) = (bearer(), token("b", &json!({})));
    let both = [("authorization", bearer.as_str()), ("x-b", b.as_str())];
    let none: [(&str, &str); 0] = [];
    let cases: [(&str, &str, &[(&str, &str)], &str, &str); 18] = [
        ("{}", "/nodes", &both, "pass a-user", "enforce"),
        ("{}", "/public", &none, "pass ", "enforce"),
        ("{}", "/other", &both, "403 AUTHZ_UNMAPPED", "enforce"),
        (r#"{"public":true}"#, "/nodes", &none, "pass ", "enforce"),
        (r#"{"public":true}"#, "/other", &none, "pass ", "enforce"),
        (
            r#"{"public":true}"#,
            "/other/../x",
            &none,
            "400 BAD_REQUEST",
            "enforce",
        ),
        (
            r#"{"public":false}"#,
            "/public",
            &none,
            "401 AUTHN_REQUIRED",
            "enforce",
        ),
        (
            r#"{"public":false}"#,
            "/public",
            &both,
            "403 AUTHZ_UNMAPPED",
            "enforce",
        ),
        (
            r#"{"object":"other","action":"read"}"#,
            "/public",
            &none,
            "401 AUTHN_REQUIRED",
            "enforce",
        ),
        (
            r#"{"object":"other","action":"read"}"#,
            "/public",
            &both,
            "pass a-user",
            "enforce",
        ),
        (
            r#"{"object":"other","action":"read"}"#,
            "/other",
            &both,
            "pass a-user",
            "enforce",
        ),
        (
            r#"{"object":"other"}"#,
            "/other",
            &both,
            "403 AUTHZ_UNMAPPED",
            "enforce",
        ),
        (
            r#"{"action":"write"}"#,
            "/nodes",
            &both,
            "403 AUTHZ_DENIED",
            "enforce",
        ),
        (
            r#"{"action":"write","mode":"shadow"}"#,
            "/nodes",
            &both,
            "pass a-user",
            "shadow",
        ),
        (r#"{"mode":"off"}"#, "/nodes", &none, "pass ", "off"),
        (
            r#"{"requires":"b"}"#,
            "/nodes",
            &both,
            "pass b-user",
            "enforce",
        ),
        (
            r#"{"requires":"b"}"#,
            "/public",
            &none,
            "401 AUTHN_REQUIRED",
            "enforce",
        ),
        (
            r#"{"object":"nodes"#,
            "/public",
            &none,
            "500 AUTHZ_MISCONFIGURED",
            "enforce",
        ),
    ];
    for (text, target, headers, expected, mode) in cases {
        let route_override = own.decider.route_override(text);
        let authorization = headers.iter().find(|(name, _)| *name == "authorization");
        let outcome = own.decide(&Request {
            method: "GET",
            target,
            authorization: authorization.map(|(_, value)| *value),
            headers,
            route_override: Some(&route_override),
            ..Request::default()
        });
        assert_eq!(said(&outcome), expected, "{text} {target}");
        assert_eq!(outcome.record.mode, mode, "{text} {target}");
        let is_bad = outcome.record.reason == "bad_override";
        assert_eq!(route_override.error().is_some(), is_bad, "{text}");
    }
}

#[test]
fn an_override_counts_in_mode_off_too() {
    let own = Deciding::new(&json!({"mode": "off", "route_overrides": true}));
    let ask = |text: Option<&str>, target: &str| {
        let made = text.map(|text| own.decider.route_override(text));
        said(&own.decide(&Request {
            method: "GET",
            target,
            route_override: made.as_ref(),
            ..Request::default()
        }))
    };
    assert_eq!(ask(None, "/a/../b"), "pass ");
    assert_eq!(ask(Some("{}"), "/nodes"), "pass ");
    assert_eq!(
        ask(Some(r#"{"mode":"enforce"}"#), "/nodes"),
        "401 AUTHN_REQUIRED"
    );
    assert_eq!(
        ask(Some(r#"{"mode":"enforce"}"#), "/a/../b"),
        "400 BAD_REQUEST"
    );
    assert_eq!(ask(Some("no JSON"), "/nodes"), "500 AUTHZ_MISCONFIGURED");
}

#[test]
fn a_known_token_costs_few_allocations() {
    let own = Deciding::new(&json!({}));
    let bearer = bearer();
    let request = Request {
        method: "GET",
        target: "/nodes/1?x=y",
        authorization: Some(&bearer),
        request_id: Some("r"),
        ..Request::default()
    };
    assert!(own.decide(&request).is_allowed());
    let memory = &mut *own.memory.borrow_mut();
    let mut allowed = false;
    let counted = allocation_counter::measure(|| {
        if let Step::Done(outcome) = own.decider.begin(&request, &own.ring, memory, NOW) {
            allowed = outcome.is_allowed();
        }
    });
    assert!(allowed);
    // The path, the outcome, and the names and rules of the record.
    assert!(counted.count_total <= 4, "{counted:?}");
}

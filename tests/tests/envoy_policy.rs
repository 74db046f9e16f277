//! Policy in a real Envoy: modes, shadow policies, what is counted and recorded.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::{Envoy, Setup, typed};
use tokensmith_tests::http::Response;
use tokensmith_tests::tokens::{Signer, claims, now};

const ISSUER: &str = "https://issuer.test";
/// Where the filter leaves its record of the decision.
const RECORD: &str = "wasm.tokensmith.decision";
/// Where it leaves the claims of `filter_state.claims`.
const CLAIMS: &str = "wasm.tokensmith.claims";

/// Viewers read and delete nodes by the routes; `change` is laid over the configuration.
fn config(signer: &Signer, change: Value) -> Value {
    let mut config = json!({
        "issuers": [{
            "issuer": ISSUER, "audiences": ["svc"], "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes", "methods": ["GET"]},
             "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE"]},
             "object": "metadata:nodes", "action": "delete"},
        ],
    });
    let change = change.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(change);
    config
}

fn bearer(signer: &Signer, change: Value) -> String {
    format!("Bearer {}", signer.sign(&claims(&change)))
}

/// Status and code of an answer.
fn outcome(response: &Response) -> (u16, String) {
    let code = match response.status {
        200 => String::new(),
        _ => response.json()["code"].as_str().unwrap().to_owned(),
    };
    (response.status, code)
}

fn until(what: &str, envoy: &Envoy, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        let stats = envoy.stats("wasmcustom");
        assert!(
            Instant::now() < end,
            "never: {what}\n{stats:#?}\n{}",
            envoy.log()
        );
        sleep(Duration::from_millis(100));
    }
}

/// Waits until the filter's counter `name` is `count`, and looks that it stays so.
fn counts(envoy: &Envoy, name: &str, count: u64) {
    let name = format!("wasmcustom.{name}");
    until(&format!("{name} is {count}"), envoy, || {
        envoy.stat(&name) >= count
    });
    assert_eq!(envoy.stat(&name), count, "{name}");
}

#[test]
fn modes_by_route() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let route = |path: &str, mode: Option<&str>| {
        let mut route =
            json!({"match": {"prefix": path}, "object": "metadata:nodes", "action": "delete"});
        if let Some(mode) = mode {
            route["mode"] = json!(mode);
        }
        route
    };
    let routes = json!([
        route("/watched", None),
        route("/strict", Some("enforce")),
        route("/free", Some("off")),
    ]);
    let change = json!({"mode": "shadow", "routes": routes});
    let envoy = Envoy::start(&config(&signer, change), backend.port).unwrap();
    let token = bearer(&signer, json!({}));
    let viewer = [("authorization", token.as_str())];
    let forged = [("x-tokensmith-roles", "admin")];
    let denied = |code: &str, status: u16| (status, code.to_owned());
    for (path, anonymous, known) in [
        ("/watched", denied("AUTHN_REQUIRED", 401), denied("", 200)),
        (
            "/strict",
            denied("AUTHN_REQUIRED", 401),
            denied("AUTHZ_DENIED", 403),
        ),
        ("/free", denied("", 200), denied("", 200)),
        ("/none", denied("AUTHN_REQUIRED", 401), denied("", 200)),
    ] {
        let response = envoy.request("GET", path, &forged);
        assert_eq!(outcome(&response), anonymous, "{path}: {response:?}");
        if response.status == 200 {
            let roles = &response.json()["headers"]["x-tokensmith-roles"];
            assert_eq!(roles, &Value::Null, "{path}");
        }
        let response = envoy.request("GET", path, &viewer);
        assert_eq!(outcome(&response), known, "{path}: {response:?}");
    }
    let body = envoy.request("GET", "/strict", &viewer).json();
    assert_eq!(body["mode"], "enforce");
    let name = "authz_decisions_total.decision.deny.reason.policy_denied.mode";
    counts(&envoy, &format!("{name}.shadow"), 1);
    counts(&envoy, &format!("{name}.enforce"), 2);
    counts(
        &envoy,
        "authz_decisions_total.decision.deny.reason.unmapped_route.mode.shadow",
        1,
    );
    // `/watched`, `/strict` and `/none` without a token.
    counts(&envoy, "authn_failures_total.code.token_missing", 3);
}

#[test]
fn the_shadow_policy_is_recorded_and_never_enforced() {
    let signer = Signer::new(Algorithm::ES256);
    let change = json!({
        "policy": {"rules": "p, role:viewer, metadata:nodes, read\n"},
        "shadow_policy": {"rules": "p, role:guest, metadata:nodes, read\n"},
        "filter_state": {"claims": []},
    });
    let envoy = Setup {
        access_log: Some(json!({"record": format!("%FILTER_STATE({RECORD}:PLAIN)%")})),
        ..Setup::answering(&config(&signer, change))
    }
    .start()
    .unwrap();
    // Role, status, what the shadow policy says.
    let cases = [
        ("viewer", 200, "deny"),
        ("viewer", 200, "deny"),
        ("guest", 403, "allow"),
        ("nobody", 403, "deny"),
    ];
    for (role, status, _) in cases {
        let token = bearer(&signer, json!({"roles": [role]}));
        let response = envoy.request("GET", "/nodes", &[("authorization", &token)]);
        assert_eq!(response.status, status, "{role}: {response:?}");
    }
    let entries = envoy.wait_for_access_log(cases.len());
    for ((role, status, shadow), entry) in cases.iter().zip(&entries) {
        let record: Value = serde_json::from_str(entry["record"].as_str().unwrap()).unwrap();
        let decision = if *status == 200 { "allow" } else { "deny" };
        assert_eq!(record["decision"], decision, "{role}: {record}");
        assert_eq!(record["shadow"]["decision"], *shadow, "{role}: {record}");
        let version = record["shadow"]["policy_version"].as_str().unwrap();
        assert!(version.starts_with("v2:"), "{record}");
        assert_ne!(record["policy_version"], version);
    }
    let name = "tokensmith_shadow_disagreements_total";
    counts(&envoy, &format!("{name}.enforced.allow.shadow.deny"), 2);
    counts(&envoy, &format!("{name}.enforced.deny.shadow.allow"), 1);
    let differ = envoy.stats(name);
    assert_eq!(
        differ.len(),
        2,
        "where both agree nothing is counted: {differ:?}"
    );
}

#[test]
fn rules_are_counted() {
    let signer = Signer::new(Algorithm::ES256);
    let rules = "p, role:viewer, metadata:nodes, read\np, role:admin, metadata:nodes, delete\n";
    let change = json!({"policy": {"rules": rules}});
    let envoy = Setup {
        workers: 2,
        ..Setup::answering(&config(&signer, change))
    }
    .start()
    .unwrap();
    let viewer = bearer(&signer, json!({}));
    let admin = bearer(&signer, json!({"roles": ["admin"]}));
    for _ in 0..5 {
        let headers = [("authorization", viewer.as_str())];
        assert_eq!(envoy.request("GET", "/nodes", &headers).status, 200);
    }
    for _ in 0..3 {
        let headers = [("authorization", admin.as_str())];
        assert_eq!(envoy.request("DELETE", "/nodes", &headers).status, 200);
        assert_eq!(envoy.request("GET", "/nodes", &headers).status, 403);
    }
    let name = "tokensmith_rule_decisions_total.rule.policy_rules";
    counts(&envoy, &format!("{name}_1.decision.allow"), 5);
    counts(&envoy, &format!("{name}_2.decision.allow"), 3);
    counts(
        &envoy,
        "authz_decisions_total.decision.deny.reason.policy_denied.mode.enforce",
        3,
    );
}

#[test]
fn deny_rules_win() {
    let signer = Signer::new(Algorithm::ES256);
    let model = "[request_definition]\nr = sub, obj, act\n\
        [policy_definition]\np = sub, obj, act, eft\n\
        [role_definition]\ng = _, _\n\
        [policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n\
        [matchers]\nm = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && \
        (p.act == \"*\" || r.act == p.act)\n";
    let rules = "p, role:viewer, /nodes/*, *, allow\np, role:viewer, /nodes/secret, *, deny\n";
    let change = json!({
        "routes": [], "default_route": "path_method", "policy": {"model": model, "rules": rules},
    });
    let envoy = Setup::answering(&config(&signer, change)).start().unwrap();
    let token = bearer(&signer, json!({}));
    for (method, path, status) in [
        ("GET", "/nodes/1", 200),
        ("DELETE", "/nodes/1", 200),
        ("GET", "/nodes/secret", 403),
        ("GET", "/nodes/secret/", 403),
        ("GET", "/nodes/%73ecret", 403),
        ("GET", "/other", 403),
    ] {
        let response = envoy.request(method, path, &[("authorization", &token)]);
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
    }
}

#[test]
fn patterns_name_objects() {
    let signer = Signer::new(Algorithm::ES256);
    let change = json!({
        "routes": [{"match": {"pattern": "/racks/{rack}/nodes/{id}"},
            "object": "node:{rack}:{id}", "action": "read"}],
        "policy": {"rules": "p, role:viewer, node:7:a b, read\n"},
    });
    let envoy = Setup::answering(&config(&signer, change)).start().unwrap();
    let token = bearer(&signer, json!({}));
    for (path, status) in [
        ("/racks/7/nodes/a%20b", 200),
        ("/racks/7/nodes/b", 403),
        ("/racks/7/nodes/a%20b/c", 403),
        ("/racks/7:a/nodes/b", 403),
    ] {
        let response = envoy.request("GET", path, &[("authorization", &token)]);
        assert_eq!(response.status, status, "{path}: {response:?}");
    }
}

#[test]
fn the_record_and_claims_reach_later_filters_and_the_access_log() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let change = json!({
        "mode": "shadow",
        "filter_state": {"claims": ["sub", ["org", "unit"], "email"]},
        "record_roles": true,
    });
    let mut setup = Setup {
        access_log: Some(json!({
            "status": "%RESPONSE_CODE%",
            "request_id": "%REQ(X-REQUEST-ID)%",
            "record": format!("%FILTER_STATE({RECORD}:PLAIN)%"),
            "claims": format!("%FILTER_STATE({CLAIMS}:PLAIN)%"),
        })),
        ..Setup::new(&config(&signer, change), backend.port)
    };
    // A later filter that enforces what ours only records, and a header for the service behind.
    let allowed = json!({"filter_state": {
        "key": RECORD, "string_match": {"contains": "\"decision\":\"allow\""},
    }});
    let rbac = typed(
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({"rules": {"action": "ALLOW", "policies": {"allowed": {
            "permissions": [{"any": true}], "principals": [allowed],
        }}}}),
    );
    setup
        .filters
        .push(json!({"name": "envoy.filters.http.rbac", "typed_config": rbac}));
    setup.routes[0]["request_headers_to_add"] = json!([{"header": {
        "key": "x-claims", "value": format!("%FILTER_STATE({CLAIMS}:PLAIN)%"),
    }}]);
    let envoy = setup.start().unwrap();
    let token = bearer(
        &signer,
        json!({"org": {"unit": "hpc"}, "roles": ["viewer", "guest"]}),
    );
    let viewer = [("authorization", token.as_str())];
    let expired = bearer(&signer, json!({"exp": now() - 600}));
    let allowed = envoy.request("GET", "/nodes/1?secret=x", &viewer);
    assert_eq!(allowed.status, 200, "{allowed:?}\n{}", envoy.log());
    let handed_on = allowed.json()["headers"]["x-claims"][0].clone();
    let handed_on: Value = serde_json::from_str(handed_on.as_str().unwrap()).unwrap();
    // A claim that the token does not have is not there.
    assert_eq!(handed_on, json!({"sub": "alice", "org.unit": "hpc"}));
    let denied = envoy.request("DELETE", "/nodes/1", &viewer);
    assert_eq!(denied.status, 403);
    assert!(
        denied.body.starts_with("RBAC"),
        "by the later filter: {denied:?}"
    );
    let refused = envoy.request("GET", "/nodes", &[("authorization", &expired)]);
    assert_eq!(refused.status, 401);

    let entries = envoy.wait_for_access_log(3);
    let record = |number: usize| -> Value {
        let text = entries[number]["record"].as_str();
        serde_json::from_str(text.unwrap_or_else(|| panic!("{entries:?}"))).unwrap()
    };
    for (number, status) in [(0, 200), (1, 403), (2, 401)] {
        assert_eq!(entries[number]["status"], status);
        assert_eq!(record(number)["request_id"], entries[number]["request_id"]);
        assert!(record(number)["request_id"].is_string(), "{entries:?}");
    }
    let first = record(0);
    for (member, value) in [
        ("principal_id", json!("alice")),
        ("principal_type", json!("user")),
        ("roles", json!(["guest", "viewer"])),
        ("matched_roles", json!(["role:viewer"])),
        ("object", json!("metadata:nodes")),
        ("action", json!("read")),
        ("decision", json!("allow")),
        ("mode", json!("shadow")),
        ("method", json!("GET")),
        ("path", json!("/nodes/1")),
        ("issuer", json!(ISSUER)),
    ] {
        let mut own = first[member].clone();
        if let Some(list) = own.as_array_mut() {
            list.sort_by_key(ToString::to_string);
        }
        assert_eq!(own, value, "{member}: {first}");
    }
    assert_eq!(record(1)["decision"], "deny");
    assert_eq!(record(1)["reason"], "policy_denied");
    assert_eq!(record(2)["error"], "token_expired");
    assert_eq!(
        entries[2]["claims"],
        Value::Null,
        "nobody has verified them"
    );
    let all = format!("{entries:?}{}", envoy.log());
    for secret in [&token, &expired] {
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!all.contains(signature), "a token was logged");
    }
}

#[test]
fn tokens_are_verified_once() {
    let signer = Signer::new(Algorithm::ES256);
    for (entries, checked) in [(100, 1), (0, 10)] {
        let change = json!({"cache": {"entries": entries}});
        let envoy = Setup::answering(&config(&signer, change)).start().unwrap();
        let token = bearer(&signer, json!({}));
        for _ in 0..10 {
            let headers = [("authorization", token.as_str())];
            assert_eq!(envoy.request("GET", "/nodes", &headers).status, 200);
        }
        let name = "tokensmith_verdict_cache_total.result";
        counts(&envoy, &format!("{name}.miss"), checked);
        counts(&envoy, &format!("{name}.hit"), 10 - checked);
    }
}

#[test]
fn the_baseline_is_in_use_where_no_policy_is_configured() {
    let signer = Signer::new(Algorithm::ES256);
    let envoy = Setup::answering(&config(&signer, json!({})))
        .start()
        .unwrap();
    for (role, read, delete) in [
        ("admin", 200, 200),
        ("operator", 200, 403),
        ("viewer", 200, 403),
        ("service", 200, 403),
        ("nobody", 403, 403),
    ] {
        let token = bearer(&signer, json!({"roles": [role]}));
        for (method, status) in [("GET", read), ("DELETE", delete)] {
            let response = envoy.request(method, "/nodes", &[("authorization", &token)]);
            assert_eq!(response.status, status, "{role} {method}");
        }
    }
}

//! Signed policy bundles in a real Envoy: fetched, followed, never rolled back, swapped under load.
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
use tokensmith_engine::policy::{BASELINE_MODEL, BUNDLE_TYPE, Bundle, Source};
use tokensmith_tests::envoy::callers::Callers;
use tokensmith_tests::envoy::origin::Origin;
use tokensmith_tests::envoy::{Envoy, Setup, cluster};
use tokensmith_tests::http::Response;
use tokensmith_tests::tokens::{Signer, claims, now};

const ISSUER: &str = "https://issuer.test";

fn bearer(signer: &Signer) -> String {
    format!("Bearer {}", signer.sign(&claims(&json!({}))))
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

/// A signed bundle of these rules that is good from now on for `seconds`.
fn bundle(signer: &Signer, sequence: u64, rules: &str, seconds: i64) -> String {
    let rules = [Source {
        name: "site.csv",
        text: rules,
    }];
    let bundle = Bundle {
        model: Source {
            name: "model.conf",
            text: BASELINE_MODEL,
        },
        rules: &rules,
        issuer: ISSUER,
        sequence,
        issued_at: now() - 1000,
        not_before: None,
        expires: now() + seconds,
    };
    let header =
        json!({"alg": signer.algorithm.name(), "kid": signer.jwk.kid(), "typ": BUNDLE_TYPE});
    signer.sign_with_header(&header, &Value::Object(bundle.payload().unwrap()))
}

const READ: &str = "p, role:viewer, metadata:nodes, read\n";
const NONE: &str = "p, role:admin, metadata:nodes, read\n";

/// The configuration whose policy is a bundle of `publisher`'s, with `change` laid over it.
fn of_bundles(tokens: &Signer, publisher: &Signer, change: Value) -> Value {
    let mut config = json!({
        "issuers": [{
            "issuer": ISSUER, "audiences": ["svc"], "jwks": {"keys": [tokens.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes", "methods": ["GET"]},
             "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE"]},
             "object": "metadata:nodes", "action": "delete"},
        ],
        "policy": {
            "bundle_uri": "http://issuer.test/policy/bundle", "bundle_cluster": "bundles",
            "bundle_issuer": ISSUER, "bundle_jwks": {"keys": [publisher.jwk.to_json()]},
        },
    });
    let change = change.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(change);
    config
}

/// An Envoy that gets its bundles from `origin`.
fn before_bundles(config: &Value, origin: &Origin, workers: u32) -> Setup {
    Setup {
        workers,
        clusters: vec![cluster("bundles", origin.port)],
        ..Setup::answering(config)
    }
}

#[test]
fn bundles_are_fetched_and_followed() {
    let (signer, publisher) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::EdDSA));
    let (origin, keys) = (Origin::start(), Origin::start());
    keys.publish(
        &json!({"keys": [publisher.jwk.to_json()]}).to_string(),
        None,
    );
    origin.publish(&bundle(&publisher, 1, READ, 3600), Some("\"1\""));
    let mut config = of_bundles(&signer, &publisher, json!({}));
    let policy = config["policy"].as_object_mut().unwrap();
    policy.remove("bundle_jwks");
    policy.insert("bundle_jwks_uri".into(), json!("http://issuer.test/jwks"));
    policy.insert("bundle_jwks_cluster".into(), json!("keys"));
    let mut setup = before_bundles(&config, &origin, 2);
    setup.clusters.push(cluster("keys", keys.port));
    let envoy = setup.start().unwrap();
    let token = bearer(&signer);
    let ask = || envoy.request("GET", "/nodes", &[("authorization", &token)]);
    // The first request waits for key and bundle.
    let response = ask();
    assert_eq!(response.status, 200, "{response:?}\n{}", envoy.log());
    let before = envoy
        .request("DELETE", "/nodes", &[("authorization", &token)])
        .json()["policy_version"]
        .clone();

    origin.publish(&bundle(&publisher, 2, NONE, 3600), Some("\"2\""));
    until("the second bundle on all workers", &envoy, || {
        (0..16).all(|_| ask().status == 403)
    });
    let after = ask().json()["policy_version"].clone();
    assert!(after.as_str().unwrap().starts_with("v2:"), "{after}");
    assert_ne!(before, after);

    // Whoever has it is not sent it again; an outage changes nothing.
    let unchanged = |status: u16| {
        let asked = origin.asked();
        asked.iter().filter(|own| own.status == status).count()
    };
    until("a conditional request", &envoy, || unchanged(304) > 0);
    let tags: Vec<_> = origin
        .asked()
        .into_iter()
        .filter_map(|own| own.if_none_match)
        .collect();
    assert!(
        tags.iter().all(|tag| tag == "\"1\"" || tag == "\"2\""),
        "{tags:?}"
    );
    origin.fail(503);
    until("a failed fetch", &envoy, || unchanged(503) > 0);
    assert_eq!(outcome(&ask()), (403, "AUTHZ_DENIED".to_owned()));
    let fetches = envoy.stats("tokensmith_bundle_fetches_total");
    assert!(
        fetches.keys().any(|name| name.contains("result.success")),
        "{fetches:?}"
    );
}

#[test]
fn no_bundle_is_rolled_back() {
    let (signer, publisher) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let origin = Origin::start();
    let held = bundle(&publisher, 5, NONE, 3600);
    origin.publish(&held, None);
    let config = of_bundles(&signer, &publisher, json!({}));
    let setup = |config: &Value| Setup {
        follows_file: true,
        ..before_bundles(config, &origin, 2)
    };
    let envoy = setup(&config).start().unwrap();
    let token = bearer(&signer);
    let ask = || envoy.request("GET", "/nodes", &[("authorization", &token)]);
    assert_eq!(outcome(&ask()), (403, "AUTHZ_DENIED".to_owned()));
    let stranger = Signer::new(Algorithm::ES256);
    for (name, document, code) in [
        (
            "an older one",
            bundle(&publisher, 4, READ, 3600),
            "bundle_rollback",
        ),
        (
            "another with its number",
            bundle(&publisher, 5, READ, 3600),
            "bundle_rollback",
        ),
        (
            "a stranger's",
            bundle(&stranger, 6, READ, 3600),
            "bundle_signature",
        ),
        (
            "an expired one",
            bundle(&publisher, 6, READ, -100),
            "bundle_expired",
        ),
        ("a token", signer.sign(&claims(&json!({}))), "bundle_type"),
    ] {
        let (before, log) = (origin.asked().len(), envoy.log().len());
        origin.publish(&document, None);
        let end = Instant::now() + Duration::from_secs(90);
        while !envoy.log().split_at(log).1.contains(code) {
            assert_eq!(outcome(&ask()), (403, "AUTHZ_DENIED".to_owned()), "{name}");
            assert!(Instant::now() < end, "{name}: no {code}\n{}", envoy.log());
            sleep(Duration::from_millis(250));
        }
        assert!(origin.asked().len() > before, "{name}");
        assert_eq!(outcome(&ask()), (403, "AUTHZ_DENIED".to_owned()), "{name}");
        // A good answer ends the longer and longer waits after bad ones.
        origin.publish(&held, None);
        let before = origin.asked().len();
        origin.wait_for(before + 1, Duration::from_secs(60));
    }
    // Nor does a configuration that changes make the filter forget.
    origin.publish(&bundle(&publisher, 4, READ, 3600), None);
    let mut other = config.clone();
    other["claim_headers"] = json!([{"claim": "email", "header": "x-email"}]);
    let probe = json!({"match": {"exact": "/probe"}, "public": true});
    other["routes"].as_array_mut().unwrap().push(probe);
    envoy.update(&setup(&other));
    until("the update", &envoy, || {
        envoy.request("GET", "/probe", &[]).status == 200
    });
    for _ in 0..16 {
        let (status, _) = outcome(&ask());
        assert_ne!(status, 200, "{}", envoy.log());
    }
}

#[test]
fn without_a_bundle_nothing_passes() {
    let (signer, publisher) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let origin = Origin::start();
    let change = json!({"key_wait": {"requests": 8, "timeout_ms": 1000}});
    let config = of_bundles(&signer, &publisher, change);
    let envoy = before_bundles(&config, &origin, 1).start().unwrap();
    let token = bearer(&signer);
    let ask = || envoy.request("GET", "/nodes", &[("authorization", &token)]);
    let unavailable = (503, "AUTHZ_UNAVAILABLE".to_owned());
    let response = ask();
    assert_eq!(outcome(&response), unavailable, "{response:?}");
    assert!(response.header("retry-after").is_some());
    assert_eq!(response.json()["reason"], "policy_unavailable");
    assert_eq!(envoy.request("GET", "/public", &[]).status, 200);
    assert_eq!(envoy.request("GET", "/nodes", &[]).status, 401);
    // One that ends within seconds: times are held to with a leeway of a minute.
    origin.publish(&bundle(&publisher, 1, READ, -45), None);
    until("the bundle", &envoy, || ask().status == 200);
    origin.fail(503);
    until("its end", &envoy, || outcome(&ask()) == unavailable);
    assert_eq!(envoy.request("GET", "/public", &[]).status, 200);
    origin.publish(&bundle(&publisher, 2, READ, 3600), None);
    until("the next bundle", &envoy, || ask().status == 200);
}

#[test]
fn a_policy_is_swapped_under_load() {
    let (signer, publisher) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let origin = Origin::start();
    // Nodes can always be read; what else can be tells which policy is in use.
    let rules = |number: u64| format!("{READ}p, role:viewer, policy:{number}, read\n");
    origin.publish(&bundle(&publisher, 1, &rules(1), 3600), None);
    let routes = json!([
        {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
        {"match": {"pattern": "/policy/{number}"}, "object": "policy:{number}", "action": "read"},
    ]);
    let config = of_bundles(&signer, &publisher, json!({"routes": routes}));
    let envoy = before_bundles(&config, &origin, 2).start().unwrap();
    let token = bearer(&signer);
    let headers = [("authorization", token.as_str())];
    assert_eq!(envoy.request("GET", "/policy/1", &headers).status, 200);
    let own = token.clone();
    let callers = Callers::start(envoy.port, 4, move |_| ("/nodes".to_owned(), own.clone()));
    for number in 2..=4 {
        origin.publish(&bundle(&publisher, number, &rules(number), 3600), None);
        let path = format!("/policy/{number}");
        until("the policy on all workers", &envoy, || {
            (0..16).all(|_| envoy.request("GET", &path, &headers).status == 200)
        });
        let former = format!("/policy/{}", number - 1);
        assert_eq!(envoy.request("GET", &former, &headers).status, 403);
    }
    let ends = callers.stop();
    let statuses: Vec<&str> = ends.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200"], "{ends:?}");
    assert!(ends["200"] > 1000, "{ends:?}");
}

//! Operating the filter in a real Envoy: configuration that changes under load, the examples and
//! lists of docs/envoy.md, and the runtimes that this Envoy has.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokensmith_engine::decide::Config;
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::callers::{Callers, Ends};
use tokensmith_tests::envoy::origin::Origin;
use tokensmith_tests::envoy::{BACKEND, Envoy, Setup, cluster, wasm_filter_with};
use tokensmith_tests::http;
use tokensmith_tests::ports::free_port;
use tokensmith_tests::tokens::{Signer, claims};
use tokensmith_tests::tool;

/// What the examples call the module.
const MODULE: &str = "/etc/envoy/tokensmith_envoy.wasm";

fn document(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn config(signer: &Signer) -> Value {
    json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [{"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"}],
    })
}

fn bearer(signer: &Signer) -> String {
    format!("Bearer {}", signer.sign(&claims(&json!({}))))
}

fn until(what: &str, envoy: &Envoy, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "never: {what}\n{}", envoy.log());
        sleep(Duration::from_millis(50));
    }
}

fn statuses(ends: &Ends) -> Vec<&str> {
    ends.keys().map(String::as_str).collect()
}

#[test]
fn updates_under_load_lose_no_request() {
    let signer = Signer::new(Algorithm::ES256);
    let mut config = config(&signer);
    let with = |config: &Value| Setup {
        workers: 4,
        follows_file: true,
        ..Setup::answering(config)
    };
    let envoy = with(&config).start().unwrap();
    until("the listener", &envoy, || {
        http::request(envoy.port, "GET", "/nodes", &[]).is_ok_and(|answer| answer.status == 401)
    });
    let machines = envoy.stat("wasm.envoy.wasm.runtime.v8.active");
    assert!(machines >= 4, "{machines}");
    let token = bearer(&signer);
    let callers = Callers::start(envoy.port, 4, move |_| ("/nodes".to_owned(), token.clone()));
    for number in 1..=5 {
        let probe = format!("/probe-{number}");
        let route = json!({"match": {"exact": probe}, "public": true});
        config["routes"].as_array_mut().unwrap().insert(0, route);
        envoy.update(&with(&config));
        // New connections, spread over all workers, have the new configuration.
        until("the update", &envoy, || {
            (0..24).all(|_| envoy.request("GET", &probe, &[]).status == 200)
        });
    }
    let sent = callers.sent();
    until("requests after the last update", &envoy, || {
        callers.sent() > sent + 200
    });

    // What is refused changes nothing.
    let refused = "listener_manager.lds.update_rejected";
    assert_eq!(envoy.stat(refused), 0, "{}", envoy.log());
    let mut bad = config.clone();
    bad["mod"] = json!("off");
    envoy.update(&with(&bad));
    until("the refusal", &envoy, || envoy.stat(refused) == 1);
    assert!(
        envoy.log().contains("unknown field `mod`"),
        "{}",
        envoy.log()
    );
    assert_eq!(envoy.request("GET", "/probe-5", &[]).status, 200);
    let sent = callers.sent();
    until("requests after the refusal", &envoy, || {
        callers.sent() > sent + 200
    });
    let ends = callers.stop();
    assert_eq!(statuses(&ends), ["200"], "{ends:?}");

    // Connections of former configurations have ended, and what they kept with them.
    until("the former machines are gone", &envoy, || {
        envoy.stat("wasm.envoy.wasm.runtime.v8.active") <= machines
    });
}

#[test]
fn verified_tokens_and_keys_outlive_an_update() {
    let signer = Signer::new(Algorithm::ES256);
    let origin = Origin::start();
    let keys = json!({"keys": [signer.jwk.to_json()]}).to_string();
    origin.publish(&keys, Some("\"1\""));
    let mut config = config(&signer);
    config["issuers"][0] = json!({
        "issuer": "https://issuer.test", "audiences": ["svc"],
        "jwks_uri": "http://issuer.test/jwks", "jwks_cluster": "keys",
    });
    let with = |config: &Value| {
        let mut setup = Setup {
            workers: 2,
            follows_file: true,
            ..Setup::answering(config)
        };
        setup.clusters.push(cluster("keys", origin.port));
        setup
    };
    let envoy = with(&config).start().unwrap();
    let token = bearer(&signer);
    let headers = [("authorization", token.as_str())];
    until("the keys", &envoy, || {
        http::request(envoy.port, "GET", "/nodes", &headers)
            .is_ok_and(|answer| answer.status == 200)
    });
    // The publisher is down while the configuration changes.
    origin.fail(503);
    let probe = json!({"match": {"exact": "/probe"}, "public": true});
    config["routes"].as_array_mut().unwrap().push(probe);
    envoy.update(&with(&config));
    until("the update", &envoy, || {
        (0..24).all(|_| envoy.request("GET", "/probe", &[]).status == 200)
    });
    for _ in 0..24 {
        let response = envoy.request("GET", "/nodes", &headers);
        assert_eq!(response.status, 200, "{response:?}\n{}", envoy.log());
    }
}

/// The filter as docs/envoy/plain.yaml has it, in an Envoy of ours.
struct Example {
    envoy: Envoy,
    signer: Signer,
}

impl Example {
    fn start() -> Self {
        let signer = Signer::new(Algorithm::ES256);
        let (backend, service) = (Backend::start(), Origin::start());
        let keys = json!({"keys": [signer.jwk.to_json()]}).to_string();
        service.publish(&keys, None);
        let (port, admin) = (free_port(), free_port());
        let mut text = document("envoy/plain.yaml");
        for (ours, theirs) in [
            (tool("TOKENSMITH_FILTER_WASM"), MODULE.to_owned()),
            (format!("port_value: {port}"), "port_value: 8080".to_owned()),
            (
                format!("port_value: {admin}"),
                "port_value: 9901".to_owned(),
            ),
            (
                format!("port_value: {}", backend.port),
                "port_value: 8082".to_owned(),
            ),
            (
                format!("port_value: {}", service.port),
                "port_value: 8081".to_owned(),
            ),
        ] {
            assert_eq!(text.matches(&theirs).count(), 1, "{theirs} in plain.yaml");
            text = text.replace(&theirs, &ours);
        }
        let envoy = Envoy::of_bootstrap("envoy.yaml", &text, (port, admin)).unwrap();
        Self { envoy, signer }
    }

    fn token(&self) -> String {
        let all = claims(&json!({"iss": "https://tokensmith.example", "aud": ["inventory"]}));
        format!("Bearer {}", self.signer.sign(&all))
    }
}

#[test]
fn the_plain_example_works() {
    let example = Example::start();
    let envoy = &example.envoy;
    let token = example.token();
    let headers = [
        ("authorization", token.as_str()),
        ("x-tokensmith-roles", "admin"),
    ];
    // The first request waits for the keys.
    let response = envoy.request("GET", "/nodes", &headers);
    assert_eq!(response.status, 200, "{response:?}\n{}", envoy.log());
    assert_eq!(
        response.json()["headers"]["x-tokensmith-roles"],
        json!(["viewer"])
    );
    assert_eq!(envoy.request("DELETE", "/nodes/1", &headers).status, 403);
    assert_eq!(envoy.request("GET", "/nodes", &[]).status, 401);
    assert_eq!(envoy.request("GET", "/healthz", &[]).status, 200);
    // Access logs go to standard output there, and have the decision.
    until("the access log", envoy, || {
        let log = envoy.log();
        let entry = log
            .lines()
            .find(|line| line.starts_with('{') && line.contains("\"status\":403"));
        entry.is_some_and(|line| line.contains("policy_denied"))
    });
    // Its statistics have labels, by the example's `stats_tags`.
    until("the statistics", envoy, || {
        envoy.admin("/stats/prometheus").lines().any(|line| {
            line.starts_with("authz_decisions_total{")
                && line.contains("decision=\"deny\"")
                && line.contains("reason=\"policy_denied\"")
                && line.contains("mode=\"enforce\"")
                && line.ends_with("} 1")
        })
    });
}

#[test]
fn the_capabilities_of_the_guide_are_enough() {
    let example = Example::start();
    let envoy = &example.envoy;
    let token = example.token();
    let headers = [("authorization", token.as_str())];
    assert_eq!(envoy.request("GET", "/nodes", &headers).status, 200);
    assert_eq!(envoy.request("DELETE", "/nodes", &headers).status, 403);
    let log = envoy.log();
    assert!(!log.contains("restricted"), "{log}");
    // Envoy does hold the filter to such a list: without headers it lets nothing through.
    let allowing = |listed: &dyn Fn(&str) -> bool| {
        let allowed: Map<String, Value> = capabilities()
            .into_iter()
            .filter(|name| listed(name.as_str()))
            .map(|name| (name, json!({})))
            .collect();
        json!({"vm_config": {"capability_restriction_config": {"allowed_capabilities": allowed}}})
    };
    let signer = Signer::new(Algorithm::ES256);
    let token = bearer(&signer);
    for (change, passes) in [
        (allowing(&|_| true), true),
        (allowing(&|name| !name.contains("get_header_map")), false),
    ] {
        let envoy = Setup {
            filters: vec![wasm_filter_with(&config(&signer), &change)],
            ..Setup::answering(&config(&signer))
        }
        .start()
        .unwrap();
        let headers = [("authorization", token.as_str())];
        let response = http::request(envoy.port, "GET", "/nodes", &headers);
        let is_ok = response.is_ok_and(|response| response.status == 200);
        assert_eq!(is_ok, passes, "{change}\n{}", envoy.log());
    }
}

/// What docs/envoy/plain.yaml allows the filter.
fn capabilities() -> Vec<String> {
    let text = document("envoy/plain.yaml");
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_suffix(": {}"))
        .filter(|name| name.starts_with("proxy_"))
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 15, "{names:?}");
    names
}

/// The JSON object that begins after `mark` in a document.
fn object_after(text: &str, mark: &str) -> String {
    let (_, rest) = text.split_once(mark).unwrap();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    values.next().unwrap().unwrap().to_string()
}

#[test]
fn the_examples_for_istio_and_envoy_gateway_are_good_configurations() {
    for (file, mark) in [
        ("envoy/istio.yaml", "pluginConfig: "),
        ("envoy/envoy-gateway.yaml", "config: "),
    ] {
        let json = object_after(&document(file), mark);
        let config = Config::from_json(json.as_bytes());
        assert!(config.is_ok(), "{file}: {config:?}");
        let mut config: Value = serde_json::from_str(&json).unwrap();
        // Where keys are fetched from depends on the mesh.
        let signer = Signer::new(Algorithm::ES256);
        let issuer = config["issuers"][0].as_object_mut().unwrap();
        issuer.remove("jwks_uri");
        issuer.remove("jwks_cluster");
        issuer.insert("jwks".into(), json!({"keys": [signer.jwk.to_json()]}));
        let envoy = Setup::answering(&config).start().unwrap();
        assert_eq!(envoy.request("GET", "/nodes", &[]).status, 401, "{file}");
    }
}

#[test]
fn a_machine_that_fails_is_loaded_again() {
    let signer = Signer::new(Algorithm::ES256);
    // Without this host call the module aborts where it would hand an identity on.
    let allowed: Map<String, Value> = capabilities()
        .into_iter()
        .filter(|name| name != "proxy_replace_header_map_value")
        .map(|name| (name, json!({})))
        .collect();
    let change = json!({
        "failure_policy": "FAIL_RELOAD",
        "reload_config": {"backoff": {"base_interval": "1s"}},
        "vm_config": {"capability_restriction_config": {"allowed_capabilities": allowed}},
    });
    let envoy = Setup {
        filters: vec![wasm_filter_with(&config(&signer), &change)],
        ..Setup::answering(&config(&signer))
    }
    .start()
    .unwrap();
    let token = bearer(&signer);
    let headers = [("authorization", token.as_str())];
    for round in 1..=2 {
        until("the machine is up", &envoy, || {
            envoy.request("GET", "/nodes", &[]).status == 401
        });
        let response = envoy.request("GET", "/nodes", &headers);
        assert_eq!(response.status, 503, "{round}: it fails closed");
    }
    until("the machine is up again", &envoy, || {
        envoy.request("GET", "/nodes", &[]).status == 401
    });
    let reloads = envoy.stat("wasm.tokensmith.vm_reload_success");
    assert!(reloads >= 2, "{reloads}");
}

#[test]
fn the_runtimes_of_this_envoy_load_the_filter() {
    let signer = Signer::new(Algorithm::ES256);
    let mut loaded = Vec::new();
    for runtime in ["v8", "wasmtime", "wamr"] {
        let change = json!({"vm_config": {"runtime": format!("envoy.wasm.runtime.{runtime}")}});
        let setup = Setup {
            filters: vec![wasm_filter_with(&config(&signer), &change)],
            ..Setup::answering(&config(&signer))
        };
        match setup.start() {
            Ok(envoy) => {
                let token = bearer(&signer);
                let headers = [("authorization", token.as_str())];
                assert_eq!(
                    envoy.request("GET", "/nodes", &headers).status,
                    200,
                    "{runtime}"
                );
                assert_eq!(envoy.request("GET", "/nodes", &[]).status, 401, "{runtime}");
                loaded.push(runtime);
            }
            // The only reason that is none of the filter's.
            Err(log) => assert!(log.contains("compiled without support"), "{runtime}: {log}"),
        }
    }
    assert!(
        loaded.contains(&"v8"),
        "docs/envoy.md promises V8: {loaded:?}"
    );
}

#[test]
fn all_clusters_of_a_mesh_are_reached() {
    // Keys by one cluster, requests by another: the filter asks the one that its issuer names.
    let signer = Signer::new(Algorithm::ES256);
    let (first, second) = (Origin::start(), Origin::start());
    for origin in [&first, &second] {
        origin.publish(&json!({"keys": [signer.jwk.to_json()]}).to_string(), None);
    }
    let mut config = config(&signer);
    config["issuers"] = json!([
        {"issuer": "https://issuer.test", "audiences": ["svc"],
         "jwks_uri": "http://a.test/keys", "jwks_cluster": "first"},
        {"issuer": "https://other.test", "audiences": ["svc"],
         "jwks_uri": "https://b.test/keys", "jwks_cluster": "second"},
    ]);
    let backend = Backend::start();
    let envoy = Envoy::start_with(
        &config,
        &[
            (BACKEND, backend.port),
            ("first", first.port),
            ("second", second.port),
        ],
    )
    .unwrap();
    for issuer in ["https://issuer.test", "https://other.test"] {
        let token = signer.sign(&claims(&json!({"iss": issuer})));
        let authorization = format!("Bearer {token}");
        let response = envoy.request("GET", "/nodes", &[("authorization", &authorization)]);
        assert_eq!(response.status, 200, "{issuer}: {response:?}");
    }
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

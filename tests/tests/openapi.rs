//! The description of the public endpoints, the endpoints there are, and what they answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use tokensmith_tests::http;
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run};
use tokensmith_tests::tool;

/// What every answer is held to.
const CHECKS: &str = "not_a_server_error,response_schema_conformance,status_code_conformance,\
                      content_type_conformance";
/// Below it are the endpoints of the administrators' own listener.
const ADMIN: &str = "/admin/";
/// Without an authority for client certificates it answers 503, as it is described.
const NEEDS_AUTHORITY: &str = "/service-identity/session";

fn source(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/service");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Path to methods, as described.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_str(&source("openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().cloned().collect();
            (path.clone(), methods)
        })
        .collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = described();
    let observed = source("observe.rs");
    let (_, routes) = observed.split_once("const ROUTES").unwrap();
    let (routes, _) = routes.split_once("];").unwrap();
    let quoted = Regex::new("\"([^\"]+)\"").unwrap();
    let observed: BTreeSet<String> = quoted
        .captures_iter(routes)
        .map(|found| found[1].to_owned())
        .filter(|path| !path.starts_with(ADMIN))
        .collect();
    let paths: BTreeSet<String> = described.keys().cloned().collect();
    assert_eq!(observed, paths);

    let route = Regex::new(r#"\.route\(\s*"([^"]+)",\s*(get|post)\("#).unwrap();
    let mut routed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for found in route.captures_iter(&source("router.rs")) {
        let methods = routed.entry(found[1].to_owned()).or_default();
        methods.insert(found[2].to_owned());
    }
    routed.retain(|path, _| !path.starts_with(ADMIN));
    assert_eq!(routed, described);
}

#[test]
fn what_is_referred_to_is_there_and_used() {
    let text = source("openapi.json");
    let document: Value = serde_json::from_str(&text).unwrap();
    let reference = Regex::new(r##""\$ref": "#(/components/[^"]+)""##).unwrap();
    let used: BTreeSet<&str> = reference
        .captures_iter(&text)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    for pointer in &used {
        assert!(document.pointer(pointer).is_some(), "no `{pointer}`");
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            let unused = kind != "securitySchemes" && !used.contains(pointer.as_str());
            assert!(!unused, "`{pointer}` is not used");
        }
    }
    let operations: Vec<&Value> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .collect();
    let ids: BTreeSet<&str> = operations
        .iter()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn the_service_publishes_it_with_its_own_address() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let published = service.get("/openapi.json");
    assert_eq!(published.status, 200);
    assert_eq!(published.header("content-type"), Some("application/json"));
    let document = published.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], service.issuer);
    assert_ne!(document["info"]["version"], "0");
    let etag = published.header("etag").unwrap();
    let known = [("if-none-match", etag)];
    let again = http::request(service.port, "GET", "/openapi.json", &known).unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[test]
fn generated_requests_are_answered_as_described() {
    let (provider, scratch) = (OidcProvider::start(), Scratch::new());
    let arguments = [
        "--oidc-issuer",
        &provider.issuer,
        "--oidc-client-id",
        &provider.client_id,
        "--audience",
        "smd",
        "--trusted-proxy",
        "127.0.0.0/8",
    ];
    let service = Service::start(scratch.path(), &arguments).unwrap();
    let create = ["--subject", "caller", "--audience", "smd"];
    let create = [&create[..], &["--scopes", "introspect"]].concat();
    let issued = service.redeem(&service.bootstrap_token(&create)).json();
    let access_token = issued["access_token"].as_str().unwrap();
    let id_token = provider.login("alice");
    let address = format!("http://127.0.0.1:{}", service.port);

    let generate = |checks: &str, paths: [&str; 2]| {
        let output = run(Command::new(tool("TOKENSMITH_SCHEMATHESIS"))
            .current_dir(scratch.path())
            .args(["--no-color", "run", &format!("{address}/openapi.json")])
            .args(["--url", &address, "--checks", checks])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", "200", "--workers", "2"])
            .args(["--seed", "1", "--generation-database", "none"])
            .args(["--suppress-health-check", "all", "--warnings", "off"])
            .arg("--continue-on-failure")
            .args(paths)
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", hooks())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TEST_ID_TOKEN", &id_token)
            .env("TEST_ACCESS_TOKEN", access_token));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}\n{errors}");
        println!("{told}");
    };
    generate(CHECKS, ["--exclude-path", NEEDS_AUTHORITY]);
    let (_, checks) = CHECKS.split_once(',').unwrap();
    generate(checks, ["--include-path", NEEDS_AUTHORITY]);

    // None of it would say much if every request had been refused for one reason.
    let metrics = service.get("/metrics").body;
    for (route, method, status) in [
        ("/health", "GET", 200),
        ("/ui/service.json", "GET", 200),
        ("/policy/bundle", "GET", 200),
        ("/oauth/exchange", "POST", 200),
        ("/oauth/exchange", "POST", 400),
        ("/oauth/exchange", "POST", 401),
        ("/oauth/introspect", "POST", 200),
        ("/oauth/introspect", "POST", 401),
        ("/oauth/revoke", "POST", 200),
        ("/oauth/token", "POST", 400),
        ("/oauth/token", "POST", 429),
    ] {
        let name = "tokensmith_http_requests_total";
        let sample =
            format!("{name}{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} ");
        assert!(metrics.contains(&sample), "never `{sample}`");
    }
}

fn hooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi")
}

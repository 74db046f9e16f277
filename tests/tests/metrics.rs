//! What the real service tells Prometheus.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;

use tokensmith_tests::http;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;

const CREATE: [&str; 4] = ["--subject", "boot-service", "--audience", "smd"];

fn metrics(service: &Service) -> String {
    let response = service.get("/metrics");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    response.body
}

/// The value of the sample that begins with `sample`.
fn value(text: &str, sample: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no `{sample}`:\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn requests_and_issuances_are_counted() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let token = service.bootstrap_token(&CREATE);
    assert_eq!(service.redeem(&token).status, 200);
    assert_eq!(service.redeem(&token).status, 400);
    assert_eq!(service.refresh("guess").status, 400);
    assert_eq!(service.get("/nothing/of-this-kind").status, 404);
    let text = metrics(&service);
    let requests = "tokensmith_http_requests_total";
    for (sample, expected) in [
        (
            format!("{requests}{{route=\"/oauth/token\",method=\"POST\",status=\"200\"}}"),
            1.0,
        ),
        (
            format!("{requests}{{route=\"/oauth/token\",method=\"POST\",status=\"400\"}}"),
            1.0,
        ),
        (
            format!("{requests}{{route=\"/token\",method=\"POST\",status=\"400\"}}"),
            1.0,
        ),
        (
            format!("{requests}{{route=\"other\",method=\"GET\",status=\"404\"}}"),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, &sample), expected, "{sample}");
    }
    let issuances = "tokensmith_token_issuances_total";
    for (grant, outcome) in [
        ("bootstrap_token", "issued"),
        ("bootstrap_token", "grant_redeemed"),
        ("refresh_token", "grant_unknown"),
    ] {
        let sample = format!("{issuances}{{grant=\"{grant}\",outcome=\"{outcome}\"}}");
        assert_eq!(value(&text, &sample), 1.0, "{sample}");
    }
    let store = "tokensmith_store_operation_duration_seconds";
    let sample = format!("{store}_count{{operation=\"redeem_bootstrap\"}}");
    assert_eq!(value(&text, &sample), 2.0);
    assert!(!text.contains("of-this-kind"), "no label is the caller's");
    assert!(!text.contains(&token));
}

#[test]
fn versions_keys_and_policy_are_told() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let text = metrics(&service);
    assert_eq!(value(&text, "tokensmith_policy_loads_total"), 1.0);
    assert_eq!(value(&text, "tokensmith_policy_load_failures_total"), 0.0);
    assert_eq!(value(&text, "tokensmith_policy_refused"), 0.0);
    assert_eq!(
        value(&text, "tokensmith_oidc_fetches_total{outcome=\"ok\"}"),
        0.0
    );
    assert!(text.contains("tokensmith_build_info{version=\""));
    assert!(text.contains("tokensmith_policy_info{version=\"v2:"));
    let jwks = service.get("/.well-known/jwks.json").json();
    let kid = jwks["keys"][0]["kid"].as_str().unwrap();
    let sample =
        format!("tokensmith_signing_key_info{{kid=\"{kid}\",alg=\"ES256\",signs=\"true\"}}");
    assert_eq!(value(&text, &sample), 1.0);
}

#[test]
fn every_sample_has_its_type_and_no_series_is_there_twice() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    service.get("/health");
    service.redeem("guess");
    let text = metrics(&service);
    let types: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        assert!(series.insert(name), "twice: {name}");
        let family = name.split('{').next().unwrap();
        assert!(family.starts_with("tokensmith_"), "{line}");
        let known = ["", "_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| family.strip_suffix(*end))
            .any(|base| types.contains(base));
        assert!(known, "no type: {line}");
    }
}

#[test]
fn answers_name_their_request() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let first = service.get("/health");
    let second = service.get("/health");
    assert_eq!(first.header("x-request-id").unwrap().len(), 22);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let get =
        |id: &str| http::request(service.port, "GET", "/health", &[("x-request-id", id)]).unwrap();
    assert_eq!(get("edge-1.a_b").header("x-request-id"), Some("edge-1.a_b"));
    for bad in ["a b", "\"", &"x".repeat(65)] {
        assert_ne!(get(bad).header("x-request-id"), Some(bad));
    }
}

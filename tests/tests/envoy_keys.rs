//! Keys in a real Envoy with several workers: fetched once for all, followed, kept through outages,
//! waited for.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io::Write as _;
use std::net::TcpStream;
use std::ops::Range;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::origin::Origin;
use tokensmith_tests::envoy::{BACKEND, Envoy, Setup, cluster};
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::tokens::{Signer, claims};

const ISSUER: &str = "https://issuer.test";
/// Least seconds between two fetches.
const COOLDOWN: u64 = 30;

fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk.to_json()).collect();
    json!({"keys": keys}).to_string()
}

/// One issuer whose keys are fetched, with `change` laid over the configuration.
fn config(change: Value) -> Value {
    let mut config = json!({
        "issuers": [{
            "issuer": ISSUER, "audiences": ["svc"],
            "jwks_uri": "http://issuer.test/jwks", "jwks_cluster": "keys",
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
        ],
    });
    let change = change.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(change);
    config
}

fn start(config: &Value, workers: u32, origin: &Origin) -> Envoy {
    let backend = Backend::start();
    Setup {
        workers,
        clusters: vec![cluster(BACKEND, backend.port), cluster("keys", origin.port)],
        ..Setup::new(config, backend.port)
    }
    .start()
    .unwrap()
}

fn ask(port: u16, signer: &Signer) -> Response {
    let token = format!("Bearer {}", signer.sign(&claims(&json!({}))));
    http::request(port, "GET", "/nodes", &[("authorization", &token)]).unwrap()
}

/// How many of 64 connections, spread over all workers, get 200.
fn passes(envoy: &Envoy, signer: &Signer) -> usize {
    (0..64)
        .filter(|_| ask(envoy.port, signer).status == 200)
        .count()
}

fn until(what: &str, envoy: &Envoy, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(COOLDOWN + 20);
    while !condition() {
        assert!(Instant::now() < end, "never: {what}\n{}", envoy.log());
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn one_fetch_serves_all_workers() {
    let (old, new) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::RS256));
    let origin = Origin::start();
    origin.publish(&jwks(&[&old]), Some("\"1\""));
    let envoy = start(&config(json!({})), 4, &origin);
    assert_eq!(passes(&envoy, &old), 64, "{}", envoy.log());
    let busy = envoy
        .stats("downstream_cx_total")
        .into_iter()
        .filter(|(name, count)| name.contains(".worker_") && *count > 0)
        .count();
    assert_eq!(busy, 4, "each worker has had requests");
    sleep(Duration::from_secs(3));
    assert_eq!(origin.asked().len(), 1, "{:?}", origin.asked());

    // Tokens of a key that is not there yet: however many, at most one fetch in 30 seconds.
    assert_eq!(passes(&envoy, &new), 0);
    origin.publish(&jwks(&[&new]), Some("\"2\""));
    until("the new key on all workers", &envoy, || {
        passes(&envoy, &new) == 64
    });
    assert_eq!(
        passes(&envoy, &old),
        0,
        "a withdrawn key verifies no longer"
    );
    let asked = origin.asked();
    assert_eq!(asked[1].if_none_match.as_deref(), Some("\"1\""));
    for pair in asked.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between >= Duration::from_secs(COOLDOWN - 1), "{asked:?}");
    }
}

#[test]
fn unchanged_keys_are_not_sent_again() {
    let signer = Signer::new(Algorithm::ES256);
    let origin = Origin::start();
    origin.publish(&jwks(&[&signer]), Some("\"same\""));
    let envoy = start(&config(json!({})), 2, &origin);
    assert_eq!(passes(&envoy, &signer), 64, "{}", envoy.log());
    let asked = origin.wait_for(2, Duration::from_secs(COOLDOWN + 15));
    assert_eq!(asked[0].if_none_match, None);
    assert_eq!(asked[1].if_none_match.as_deref(), Some("\"same\""));
    assert_eq!(asked[1].status, 304);
    sleep(Duration::from_secs(2));
    assert_eq!(passes(&envoy, &signer), 64, "{}", envoy.log());
}

#[test]
fn an_outage_keeps_the_last_good_keys() {
    scope(|threads| {
        for outage in ["refuses", "is no key set", "does not answer"] {
            threads.spawn(move || keys_stay_while_the_publisher(outage));
        }
    });
}

fn keys_stay_while_the_publisher(outage: &str) {
    let signer = Signer::new(Algorithm::ES256);
    let origin = Origin::start();
    origin.publish(&jwks(&[&signer]), None);
    let envoy = start(&config(json!({})), 2, &origin);
    assert_eq!(passes(&envoy, &signer), 64, "{}", envoy.log());
    match outage {
        "refuses" => origin.fail(503),
        "is no key set" => origin.publish("{\"keys\": 1}", None),
        _ => origin.delay(Duration::from_secs(600)),
    }
    let stranger = Signer::new(Algorithm::ES256);
    // A stranger's key is a reason to look again, as soon as that is allowed.
    let end = Instant::now() + Duration::from_secs(COOLDOWN + 15);
    while origin.asked().len() < 2 {
        assert_eq!(ask(envoy.port, &stranger).status, 401);
        assert_eq!(ask(envoy.port, &signer).status, 200, "{outage}");
        assert!(Instant::now() < end, "{outage}: never asked again");
        sleep(Duration::from_millis(500));
    }
    sleep(Duration::from_secs(2));
    assert_eq!(passes(&envoy, &signer), 64, "{outage}\n{}", envoy.log());
}

#[test]
fn requests_wait_for_the_first_keys() {
    let signer = Signer::new(Algorithm::ES256);
    let origin = Origin::start();
    origin.publish(&jwks(&[&signer]), None);
    let delay = Duration::from_secs(4);
    origin.delay(delay);
    let wait = json!({"key_wait": {"requests": 64, "timeout_ms": 15000}});
    let envoy = start(&config(wait), 2, &origin);
    let began = Instant::now();
    scope(|threads| {
        let waiting: Vec<_> = (0..32)
            .map(|_| threads.spawn(|| (ask(envoy.port, &signer), Instant::now())))
            .collect();
        // What needs no key does not wait.
        let public = http::request(envoy.port, "GET", "/public", &[]).unwrap();
        assert_eq!(public.status, 200);
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(
            http::request(envoy.port, "GET", "/nodes", &[])
                .unwrap()
                .status,
            401
        );
        for one in waiting {
            let (response, ended) = one.join().unwrap();
            assert_eq!(response.status, 200, "{response:?}\n{}", envoy.log());
            assert_eq!(
                response.json()["headers"]["x-tokensmith-subject"],
                json!(["alice"])
            );
            let fetched = origin.asked()[0].at + delay;
            assert!(ended >= fetched, "it passed before the keys were there");
        }
    });
    assert_eq!(origin.asked().len(), 1, "{:?}", origin.asked());
}

/// How long a request waits for keys that do not come, when it may wait two seconds.
const WAITED: Range<Duration> = Duration::from_millis(1900)..Duration::from_millis(6000);

/// An Envoy whose keys never come; two requests may wait for them.
fn start_without_keys(other: &Signer) -> Envoy {
    let origin = Origin::start();
    origin.delay(Duration::from_secs(600));
    let mut config = config(json!({"key_wait": {"requests": 2, "timeout_ms": 2000}}));
    config["issuers"].as_array_mut().unwrap().push(json!({
        "issuer": "https://other.test", "audiences": ["svc"],
        "jwks": {"keys": [other.jwk.to_json()]},
    }));
    start(&config, 1, &origin)
}

fn is_unavailable(response: &Response) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.json()["code"], "AUTHN_UNAVAILABLE");
    assert!(response.header("retry-after").is_some(), "{response:?}");
}

#[test]
fn waiting_ends_after_its_time() {
    let (signer, other) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let envoy = start_without_keys(&other);
    let timed = || {
        let began = Instant::now();
        (ask(envoy.port, &signer), began.elapsed())
    };
    // Two wait, a third is too many.
    scope(|threads| {
        let both = [threads.spawn(timed), threads.spawn(timed)];
        sleep(Duration::from_millis(700));
        let (response, took) = timed();
        is_unavailable(&response);
        assert!(took < Duration::from_millis(1000), "{took:?}");
        for one in both {
            let (response, took) = one.join().unwrap();
            is_unavailable(&response);
            assert!(WAITED.contains(&took), "{took:?}");
        }
    });
    // The other issuer's keys are there.
    let token = other.sign(&claims(&json!({"iss": "https://other.test"})));
    let began = Instant::now();
    let authorization = format!("Bearer {token}");
    let response = envoy.request("GET", "/nodes", &[("authorization", &authorization)]);
    assert_eq!(response.status, 200, "{response:?}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn whoever_hangs_up_leaves_room_to_wait() {
    let (signer, other) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let envoy = start_without_keys(&other);
    let token = signer.sign(&claims(&json!({})));
    let head =
        format!("GET /nodes HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\r\n");
    for _ in 0..3 {
        for _ in 0..2 {
            let mut stream = TcpStream::connect(("127.0.0.1", envoy.port)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            sleep(Duration::from_millis(60));
        }
        sleep(Duration::from_millis(100));
    }
    let began = Instant::now();
    is_unavailable(&ask(envoy.port, &signer));
    let took = began.elapsed();
    assert!(WAITED.contains(&took), "it found no room: {took:?}");
}

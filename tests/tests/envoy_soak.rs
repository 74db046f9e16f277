//! The filter under steady load of tokens that it never saw: memory stays what it was.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::envoy::Setup;
use tokensmith_tests::envoy::callers::Callers;
use tokensmith_tests::tokens::{Signer, claims};

/// Seconds of load when `TOKENSMITH_SOAK_SECONDS` says nothing else; 180 is a whole run.
const SECONDS: u64 = 60;
/// What the process may grow between the second and the last third, in bytes: pages that its
/// allocators have not given back yet.
const SLACK: u64 = 4 << 20;

#[test]
fn memory_stays_flat() {
    let seconds = match std::env::var("TOKENSMITH_SOAK_SECONDS") {
        Ok(text) => text.parse().unwrap_or_else(|_| {
            panic!("`TOKENSMITH_SOAK_SECONDS` is `{text}`: give a number of seconds")
        }),
        Err(_) => SECONDS,
    };
    let signer = Signer::new(Algorithm::ES256);
    let config = json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"pattern": "/nodes/{id}"}, "object": "metadata:nodes", "action": "read"},
        ],
        "claim_headers": [{"claim": "email", "header": "x-email"}],
        "filter_state": {"claims": ["sub"]},
        // Full long before the second third begins.
        "cache": {"entries": 1000},
    });
    let envoy = Setup {
        workers: 2,
        ..Setup::answering(&config)
    }
    .start()
    .unwrap();
    let callers = Callers::start(envoy.port, 2, move |number| {
        let own = json!({"sub": format!("user-{number}"), "email": format!("{number}@b.test")});
        let mut token = signer.sign(&claims(&own));
        let target = match number % 8 {
            5 => "/public/1".to_owned(),
            6 => "/none".to_owned(),
            _ => format!("/nodes/{number}"),
        };
        if number % 8 == 7 {
            // A signature that is not the key's.
            token.truncate(token.len() - 8);
            token.push_str("AAAAAAAA");
        }
        (target, format!("Bearer {token}"))
    });
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_millis(500));
        samples.push((envoy.resident(), envoy.allocated()));
    }
    let ends = callers.stop();
    let third = samples.len() / 3;
    assert!(third > 5, "{} samples are too few", samples.len());
    let (second, last) = (&samples[third..2 * third], &samples[2 * third..]);
    type Sample = (u64, u64);
    let measures: [(&str, fn(&Sample) -> u64); 2] = [
        ("resident", |sample| sample.0),
        ("allocated", |sample| sample.1),
    ];
    for (name, measure) in measures {
        let before = second.iter().map(measure).min().unwrap();
        let after = last.iter().map(measure).min().unwrap();
        assert!(
            after <= before + before / 50 + SLACK,
            "{name} memory grew from {before} to {after} bytes in {ends:?}"
        );
    }
    let statuses: Vec<&str> = ends.keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "401", "403"], "{ends:?}\n{}", envoy.log());
    let total: u64 = ends.values().sum();
    assert!(
        total > seconds * 100,
        "only {total} requests in {seconds} s"
    );
}

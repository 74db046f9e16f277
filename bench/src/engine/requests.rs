use std::hint::black_box;

use serde_json::json;
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::decide::{Config, Decider, Memory, Request};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_tests::tokens::{Signer, claims, now};

/// Whole requests through `decide`, 4,000 tokens in turn.
pub(crate) fn compare(report: &mut Report) {
    let signer = Signer::new(Algorithm::ES256);
    let limits = Limits::default();
    let document = json!({"keys": [signer.jwk.to_json()]});
    let config = json!({
        "issuers": [{"issuer": "https://issuer.test", "audiences": ["svc"], "jwks": document}],
        "routes": [
            {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE"]}, "object": "metadata:nodes", "action": "delete"},
        ],
        "default_route": "deny",
    });
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    let decider = Decider::new(&config, limits.clone(), AwsLc).unwrap();
    let set = JwkSet::parse(document.to_string().as_bytes(), &limits).unwrap();
    let ring = KeyRing::new([("https://issuer.test", &set)], &AwsLc);
    let tokens: Vec<String> = (0..4000)
        .map(|number| {
            let token = signer.sign(&claims(&json!({"sub": format!("user-{number}")})));
            format!("Bearer {token}")
        })
        .collect();
    let now = now();
    let work = |entries: usize, method: &'static str, allowed: bool| {
        let mut memory = Memory::new(entries, [0; 16]);
        let (decider, ring) = (&decider, &ring);
        let mut requests = tokens.iter().cycle();
        // All tokens are in the cache, if there is one, before the first turn.
        let mut once = move || {
            let request = Request {
                method,
                target: "/nodes/x1000c0s0b0n0",
                authorization: requests.next().map(String::as_str),
                ..Request::default()
            };
            let outcome = black_box(decider.decide(black_box(&request), ring, &mut memory, now));
            assert_eq!(outcome.is_allowed(), allowed);
        };
        if entries > 0 {
            (0..4000).for_each(|_| once());
        }
        once
    };
    let measured = take_turns(vec![
        Contestant::new("known token, allowed", work(10_000, "GET", true)),
        Contestant::new("known token, denied", work(10_000, "DELETE", false)),
        Contestant::new("unknown token, ES256, allowed", work(0, "GET", true)),
    ]);
    report.compare("a request decided, 4,000 distinct tokens", &measured);
}

//! An axum router with the layers beside the same router without, in one process and without
//! sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use serde_json::json;
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::decide::Config;
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::tokens::{Signer, claims};
use tokensmith_tower::{Principal, TokenSmith};
use tower_service::Service as _;

/// The layer may cost this much for a token that was seen before, in nanoseconds.
const BAR: f64 = 3000.0;

fn main() {
    let signer = Signer::new(Algorithm::ES256);
    let config = json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE"]}, "object": "metadata:nodes", "action": "delete"},
        ],
    });
    let config = Config::from_json(config.to_string().as_bytes()).unwrap();
    let tokens: Vec<String> = (0..4000)
        .map(|number| {
            let token = signer.sign(&claims(&json!({"sub": format!("user-{number}")})));
            format!("Bearer {token}")
        })
        .collect();
    let start = |headers: bool| {
        TokenSmith::builder(config.clone())
            .identity_headers(headers)
            .start()
            .unwrap()
    };
    let plain = || {
        Router::new().route(
            "/nodes/{id}",
            get(async || "node").delete(async || "deleted"),
        )
    };
    let guarded = Router::new().route(
        "/nodes/{id}",
        get(async |_: Principal| "node").delete(async || "deleted"),
    );
    let work = |mut router: Router, method: &'static str, status: u16| {
        let mut authorizations = tokens.iter().cycle();
        // All tokens are known before the first turn.
        let mut once = move || {
            let request = Request::builder()
                .method(method)
                .uri("/nodes/x1000c0s0b0n0")
                .header("host", "inventory.example")
                .header("user-agent", "bench")
                .header("authorization", authorizations.next().unwrap().as_str())
                .body(Body::empty())
                .unwrap();
            let response = finished(router.call(black_box(request))).unwrap();
            assert_eq!(response.status(), status);
            black_box(response);
        };
        (0..4000).for_each(|_| once());
        once
    };
    let measured = take_turns(vec![
        Contestant::new("axum alone", work(plain(), "GET", 200)),
        Contestant::new(
            "with the layer, allowed",
            work(guarded.clone().layer(start(true).layer()), "GET", 200),
        ),
        Contestant::new(
            "with the layer, allowed, no identity headers",
            work(guarded.layer(start(false).layer()), "GET", 200),
        ),
        Contestant::new(
            "with the layer, denied",
            work(plain().layer(start(true).layer()), "DELETE", 403),
        ),
    ]);
    let mut report = Report::new("tower");
    report.compare(
        "a request through a router, 4,000 distinct tokens seen before",
        &measured,
    );
    let cost = measured[1].median_ns - measured[0].median_ns;
    report.note(
        "what the layer costs for a request that is allowed",
        &format!("{cost:.0} ns, the bar is {BAR:.0} ns"),
    );
    report.write();
    assert!(
        cost <= BAR,
        "the layer costs {cost:.0} ns, more than {BAR:.0}"
    );
}

/// The answer of a handler that waits for nothing.
fn finished<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
    }
}

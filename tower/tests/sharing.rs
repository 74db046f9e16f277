//! What the layers share: principals for handlers, policies, keys that are fetched.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_engine::policy::{BASELINE_MODEL, Source, compile};
use tokensmith_tests::tokens::{Signer, claims, now};
use tokensmith_tower::{Document, FetchFailed, FetchFn, Principal, TokenSmith, VerifiedClaims};

use harness::{ISSUER, bearer, body, config_with, echo, json_of, jwks, request, send};

#[tokio::test]
async fn handlers_learn_who_calls() {
    async fn who(principal: Principal, claims: VerifiedClaims) -> Json<Value> {
        Json(json!({
            "id": principal.id(), "issuer": principal.issuer(), "service": principal.is_service(),
            "viewer": principal.has_role("viewer"), "read": principal.has_scope("read"),
            "claims": claims.all(), "email": claims.get("email"),
        }))
    }
    let signer = Signer::new(Algorithm::ES256);
    let tokensmith = TokenSmith::builder(config_with(&signer, &json!({})))
        .identity_headers(false)
        .start()
        .unwrap();
    let app = Router::new()
        .route("/nodes", get(who))
        .route("/public", get(who))
        .route("/nodes/echo", get(echo))
        .layer(tokensmith.layer());
    let token = bearer(&signer.sign(&claims(&json!({"email": "a@b"}))));
    let headers = [
        ("authorization", token.as_str()),
        ("x-email", "root@b"),
        ("x-tokensmith-roles", "admin"),
    ];
    let seen = json_of(send(&app, request("GET", "/nodes", &headers)).await).await;
    let expected = json!({
        "id": "alice", "issuer": ISSUER, "service": false, "viewer": true, "read": true,
        "claims": {"sub": "alice", "email": "a@b"}, "email": "a@b",
    });
    assert_eq!(seen, expected);
    let none = send(&app, request("GET", "/public", &headers)).await;
    assert_eq!(none.status(), 401, "a public route has nobody to ask for");
    let seen = json_of(send(&app, request("GET", "/nodes/echo", &headers)).await).await;
    let names = seen["headers"].to_string();
    assert!(
        !names.contains("x-email") && !names.contains("x-tokensmith"),
        "{names}"
    );
}

#[tokio::test]
async fn policies_are_exchanged_and_observed() {
    let signer = Signer::new(Algorithm::ES256);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let tokensmith = TokenSmith::builder(config_with(&signer, &json!({})))
        .on_decision(move |record| {
            let decided = (record.decision, record.policy_version.to_string());
            told.lock().unwrap().push(decided);
        })
        .start()
        .unwrap();
    let app = Router::new()
        .route("/nodes", get(echo))
        .layer(tokensmith.layer())
        .merge(tokensmith.diagnostics_router());
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let headers = [("authorization", token.as_str())];
    assert_eq!(
        send(&app, request("GET", "/nodes", &headers))
            .await
            .status(),
        200
    );
    let policy = |rules: &str| {
        let model = Source {
            name: "model",
            text: BASELINE_MODEL,
        };
        let rules = Source {
            name: "rules",
            text: rules,
        };
        Arc::new(compile(model, &[rules]).unwrap())
    };
    let before = tokensmith.policy_version();
    tokensmith
        .set_policy(policy("p, role:admin, metadata:nodes, read"))
        .unwrap();
    assert_ne!(tokensmith.policy_version(), before);
    assert_eq!(
        send(&app, request("GET", "/nodes", &headers))
            .await
            .status(),
        403
    );
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], ("allow", before));
    assert_eq!(seen[1], ("deny", tokensmith.policy_version()));

    let diagnostics = json_of(send(&app, request("GET", "/authz/diagnostics", &[])).await).await;
    assert_eq!(diagnostics["mode"], "enforce");
    assert_eq!(diagnostics["policy_version"], tokensmith.policy_version());
    assert_eq!(
        diagnostics["issuers"],
        json!([{"issuer": ISSUER, "has_keys": true}])
    );
    let metrics = body(send(&app, request("GET", "/authz/metrics", &[])).await).await;
    let metrics = String::from_utf8(metrics).unwrap();
    for line in [
        "tokensmith_tower_decisions_total{outcome=\"allowed\"} 1",
        "tokensmith_tower_decisions_total{outcome=\"forbidden\"} 1",
        "tokensmith_tower_policy_loads_total{outcome=\"ok\"} 1",
    ] {
        assert!(metrics.lines().any(|own| own == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn requests_wait_for_the_first_keys_and_expired_ones_are_of_no_use() {
    let signer = Signer::new(Algorithm::ES256);
    let url = "https://issuer.test/jwks";
    let issuers = json!([{"issuer": ISSUER, "audiences": ["svc"], "jwks_uri": url}]);
    let key_wait = json!({"requests": 1, "timeout_ms": 5000});
    let config = config_with(&signer, &json!({"issuers": issuers, "key_wait": key_wait}));
    let document = jwks(&signer).to_string();
    let (open, gate) = tokio::sync::watch::channel(false);
    let fetch = FetchFn(move |asked: String, _etag: Option<String>| {
        assert_eq!(asked, url);
        let (document, mut gate) = (document.clone(), gate.clone());
        async move {
            gate.wait_for(|open| *open)
                .await
                .map_err(|error| FetchFailed(error.to_string()))?;
            Ok(Document {
                status: 200,
                body: document.into_bytes(),
                ..Document::default()
            })
        }
    });
    let time = Arc::new(AtomicI64::new(now()));
    let clock = Arc::clone(&time);
    let tokensmith = TokenSmith::builder(config)
        .fetch(fetch)
        .clock(move || clock.load(Ordering::Relaxed))
        .start()
        .unwrap();
    let app = Router::new()
        .route("/nodes", get(echo))
        .layer(tokensmith.layer());
    let long = json!({"exp": now() + 100_000, "session_exp": now() + 80_000});
    let token = bearer(&signer.sign(&claims(&long)));
    let ask = || {
        let (app, token) = (app.clone(), token.clone());
        async move {
            let headers = [("authorization", token.as_str())];
            send(&app, request("GET", "/nodes", &headers)).await
        }
    };
    let waiting = tokio::spawn(ask());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(ask().await.status(), 503, "only one may wait");
    open.send_replace(true);
    assert_eq!(waiting.await.unwrap().status(), 200);
    tokensmith.ready(Duration::from_secs(1)).await.unwrap();
    assert_eq!(tokensmith.metrics().counts().waited, 1);

    // Nobody answers any more, and the keys get old.
    open.send_replace(false);
    time.fetch_add(3599, Ordering::Relaxed);
    assert_eq!(ask().await.status(), 200);
    time.fetch_add(2, Ordering::Relaxed);
    let late = tokio::spawn(ask());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!late.is_finished(), "it waits for keys again");
    late.abort();
    assert!(!tokensmith.diagnostics().issuers[0].has_keys);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_at_the_start() {
    let signer = Signer::new(Algorithm::ES256);
    let own = json!({"policy": {"rules": "p, role:viewer, a, read"}});
    let refused = TokenSmith::builder(config_with(&signer, &own))
        .policy_folder("/nonexistent")
        .start()
        .unwrap_err();
    assert_eq!(refused.code(), "tower_two_policies");
    let refused = TokenSmith::builder(config_with(&signer, &json!({})))
        .policy_folder("/nonexistent")
        .start()
        .unwrap_err();
    assert!(refused.to_string().contains("/nonexistent"), "{refused}");
    let issuers = json!([{"issuer": ISSUER, "audiences": ["svc"], "jwks_uri": "/jwks"}]);
    let config = config_with(&signer, &json!({"issuers": issuers}));
    let refused = TokenSmith::builder(config).start().unwrap_err();
    assert!(
        refused.to_string().contains("issuers[0].jwks_uri"),
        "{refused}"
    );
}

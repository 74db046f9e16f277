//! The layers in an axum router: what they answer and what they hand on.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod harness;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Response;
use serde_json::{Value, json};
use tokensmith_engine::decide::{self, Decider, Memory, Mode, Outcome};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_tests::tokens::{Signer, claims, now};
use tokensmith_tower::TokenSmith;

use harness::{ISSUER, bearer, body, config_with, echo, json_of, jwks, request, send};

#[tokio::test]
async fn answers_are_those_of_the_decider() {
    let signer = Signer::new(Algorithm::ES256);
    let client = Signer::new(Algorithm::ES256);
    let config = config_with(&signer, &json!({}));
    let tokensmith = TokenSmith::builder(config.clone()).start().unwrap();
    let app = Router::new().fallback(echo).layer(tokensmith.layer());

    let limits = Limits::default();
    let decider = Decider::new(&config, limits.clone(), AwsLc).unwrap();
    let set = JwkSet::parse(jwks(&signer).to_string().as_bytes(), &limits).unwrap();
    let ring = KeyRing::new([(ISSUER, &set)], &AwsLc);
    let mut memory = Memory::new(64, [7; 16]);

    let good = bearer(&signer.sign(&claims(&json!({"email": "a@b"}))));
    let bound = signer.sign(&claims(&json!({"cnf": {"jkt": client.jwk.thumbprint()}})));
    let proof = client.proof("http://test/nodes", &bound, &json!({}), &json!({}));
    let dpop = format!("DPoP {bound}");
    let tokens = [
        good.clone(),
        good.clone(),
        bearer(&signer.sign(&claims(&json!({"roles": []})))),
        bearer(&signer.sign(&claims(&json!({"exp": now() - 61})))),
        bearer(&signer.sign(&claims(&json!({"aud": ["other"]})))),
        bearer(&client.sign(&claims(&json!({})))),
        format!("{good}x"),
        bearer("a.b.c"),
        bearer(&bound),
        dpop.clone(),
        "Basic eA==".to_owned(),
    ];
    let mut cases: Vec<(&str, &str, Vec<(&str, &str)>)> = Vec::new();
    for token in &tokens {
        cases.push((
            "GET",
            "/nodes?x=1",
            vec![
                ("authorization", token.as_str()),
                ("x-tokensmith-roles", "admin"),
                ("x-email", "root@b"),
                ("x-request-id", "r-1"),
            ],
        ));
    }
    for (method, target) in [
        ("DELETE", "/nodes/1"),
        ("HEAD", "/nodes/1"),
        ("GET", "/unmapped"),
        ("GET", "/nodes/%2e%2e/public"),
        ("GET", "/nodes//1"),
        ("GET", "/public/x"),
        ("GET", "/publicfoo"),
        ("OPTIONS", "/nodes"),
    ] {
        cases.push((method, target, vec![("authorization", good.as_str())]));
        cases.push((method, target, vec![("x-tokensmith-subject", "root")]));
    }
    let preflight = vec![
        ("origin", "https://site.test"),
        ("access-control-request-method", "GET"),
    ];
    cases.push(("OPTIONS", "/nodes", preflight));
    let twice = vec![
        ("authorization", good.as_str()),
        ("authorization", good.as_str()),
    ];
    cases.push(("GET", "/nodes", twice));
    let proven = vec![
        ("host", "test"),
        ("authorization", dpop.as_str()),
        ("dpop", proof.as_str()),
    ];
    // The second one is a replay.
    cases.push(("GET", "/nodes", proven.clone()));
    cases.push(("GET", "/nodes", proven));

    for (method, target, headers) in &cases {
        let of = |name: &str| {
            let found: Vec<&str> = headers
                .iter()
                .filter(|(own, _)| *own == name)
                .map(|(_, value)| *value)
                .collect();
            (!found.is_empty()).then(|| found.join(","))
        };
        let read = [
            of("authorization"),
            of("dpop"),
            of("origin"),
            of("access-control-request-method"),
            of("x-request-id"),
        ];
        let asked = decide::Request {
            method,
            target,
            authorization: read[0].as_deref(),
            dpop: read[1].as_deref(),
            origin: read[2].as_deref(),
            access_control_request_method: read[3].as_deref(),
            request_id: read[4].as_deref(),
            scheme: "http",
            authority: "test",
            ..decide::Request::default()
        };
        let expected = decider.decide(&asked, &ring, &mut memory, now());
        let response = send(&app, request(method, target, headers)).await;
        compare(
            &expected,
            response,
            headers,
            &format!("{method} {target} {headers:?}"),
        )
        .await;
    }
    let counts = tokensmith.metrics().counts();
    let total: u64 = counts.decisions.iter().map(|(_, count)| count).sum();
    assert_eq!(total, cases.len() as u64);
    assert_eq!(counts.refused_tokens["token_expired"], 1);
}

async fn compare(
    expected: &Outcome<'_>,
    response: Response<Body>,
    sent: &[(&str, &str)],
    what: &str,
) {
    let Some(denial) = &expected.denial else {
        assert_eq!(response.status(), 200, "{what}");
        let mut headers: Vec<(String, String)> = sent
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in expected.header_edits() {
            headers.retain(|(own, _)| own != name);
            headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        headers.sort();
        let seen = json_of(response).await;
        let mut found: Vec<(String, String)> =
            serde_json::from_value(seen["headers"].clone()).unwrap();
        found.sort();
        assert_eq!(found, headers, "{what}");
        return;
    };
    assert_eq!(response.status(), denial.status, "{what}");
    for (name, value) in &denial.headers {
        assert_eq!(response.headers()[*name], value.as_str(), "{what}: {name}");
    }
    let bytes = body(response).await;
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        String::from_utf8_lossy(&denial.body),
        "{what}"
    );
}

#[tokio::test]
async fn routes_may_say_what_they_ask_themselves() {
    let signer = Signer::new(Algorithm::EdDSA);
    let tokensmith = TokenSmith::builder(config_with(&signer, &json!({})))
        .start()
        .unwrap();
    let broken = tokensmith.require(" ", "read");
    assert!(broken.error().is_some());
    let app = Router::new()
        .route(
            "/read",
            get(echo).layer(tokensmith.require("metadata:nodes", "read")),
        )
        .route(
            "/delete",
            get(echo).layer(tokensmith.require("metadata:nodes", "delete")),
        )
        .route(
            "/shadow",
            get(echo).layer(
                tokensmith
                    .require("metadata:nodes", "delete")
                    .mode(Mode::Shadow),
            ),
        )
        .route("/open", get(echo).layer(tokensmith.public()))
        .route("/broken", get(echo).layer(broken));
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let cases = [
        ("/read", true, 200),
        ("/read", false, 401),
        ("/delete", true, 403),
        ("/shadow", true, 200),
        ("/shadow", false, 401),
        ("/open", false, 200),
        ("/broken", true, 500),
        ("/broken", false, 500),
    ];
    for (target, with_token, status) in cases {
        let mut headers = vec![("x-tokensmith-subject", "root")];
        if with_token {
            headers.push(("authorization", token.as_str()));
        }
        let response = send(&app, request("GET", target, &headers)).await;
        assert_eq!(response.status(), status, "{target} {with_token}");
        if status == 200 {
            let seen = json_of(response).await;
            let forged = seen["headers"].to_string().contains("root");
            assert!(!forged, "{seen}");
            let expected = if with_token {
                json!("alice")
            } else {
                Value::Null
            };
            assert_eq!(seen["principal"], expected);
        }
    }
}

#[tokio::test]
async fn authentication_first_then_policy() {
    let signer = Signer::new(Algorithm::ES256);
    let client = Signer::new(Algorithm::ES256);
    let tokensmith = TokenSmith::builder(config_with(&signer, &json!({})))
        .start()
        .unwrap();
    // The last layer is the first to see a request.
    let app = Router::new()
        .route("/nodes", get(echo).delete(echo))
        .layer(tokensmith.authz_layer())
        .layer(tokensmith.authn_layer());
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let with = [("authorization", token.as_str())];
    for (method, headers, status) in [
        ("GET", &with[..], 200),
        ("DELETE", &with[..], 403),
        ("GET", &[][..], 401),
    ] {
        let response = send(&app, request(method, "/nodes", headers)).await;
        assert_eq!(response.status(), status, "{method}");
    }
    let total: u64 = {
        let counts = tokensmith.metrics().counts();
        counts.decisions.iter().map(|(_, count)| count).sum()
    };
    assert_eq!(total, 3, "each request is decided once");

    // Both layers check the proof, and it is used once.
    let bound = signer.sign(&claims(&json!({"cnf": {"jkt": client.jwk.thumbprint()}})));
    let proof = client.proof("http://test/nodes", &bound, &json!({}), &json!({}));
    let scheme = format!("DPoP {bound}");
    let proven = [
        ("host", "test"),
        ("authorization", scheme.as_str()),
        ("dpop", proof.as_str()),
    ];
    let first = send(&app, request("GET", "/nodes", &proven)).await;
    assert_eq!(first.status(), 200);
    let replay = send(&app, request("GET", "/nodes", &proven)).await;
    assert_eq!(replay.status(), 401);
}

#[tokio::test]
async fn a_token_that_is_cut_out_reaches_later_layers_and_no_handler() {
    let signer = Signer::new(Algorithm::ES256);
    let issuers = json!([{
        "issuer": ISSUER, "audiences": ["svc"], "jwks": jwks(&signer),
        "from": [{"query": "access_token"}, {"header": "authorization", "prefix": "Bearer "}],
        "forward": false,
    }]);
    let config = config_with(&signer, &json!({"issuers": issuers}));
    let tokensmith = TokenSmith::builder(config).start().unwrap();
    let app = Router::new()
        .nest("/nodes", Router::new().route("/{id}", get(echo)))
        .layer(tokensmith.layer())
        .layer(tokensmith.authn_layer());
    let token = signer.sign(&claims(&json!({})));
    let target = format!("/nodes/1?a=1&access_token={token}&b=2");
    let seen = json_of(send(&app, request("GET", &target, &[])).await).await;
    assert_eq!(seen["principal"], "alice", "{seen}");
    assert!(!seen.to_string().contains(&token), "{seen}");
    let uri = seen["uri"].as_str().unwrap();
    assert!(uri.ends_with("?a=1&b=2"), "{uri}");
    let authorization = bearer(&token);
    let headers = [("authorization", authorization.as_str())];
    let seen = json_of(send(&app, request("GET", "/nodes/1", &headers)).await).await;
    assert!(!seen.to_string().contains(&token), "{seen}");
}

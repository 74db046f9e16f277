//! An axum service and a tonic service with the layers, over real HTTP, with keys and tokens of
//! the real token service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokensmith_client::{Credential, Secret, ServiceClient, Settings};
use tokensmith_engine::decide::Config;
use tokensmith_tests::http;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tower::{Principal, TokenSmith};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const RULES: &str = "p, role:service, metadata:nodes, read\np, role:service, health, check\n";

fn config(service: &Service) -> Config {
    let jwks = format!("http://127.0.0.1:{}/.well-known/jwks.json", service.port);
    let config = json!({
        "issuers": [{"issuer": service.issuer, "audiences": ["inventory"], "jwks_uri": jwks}],
        "routes": [
            {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
            {"match": {"exact": "/grpc.health.v1.Health/Check"}, "object": "health", "action": "check"},
        ],
    });
    Config::from_json(config.to_string().as_bytes()).unwrap()
}

/// The layers with a policy in `policy/`, which has to keep its first rules.
fn layers(service: &Service, scratch: &Scratch) -> TokenSmith {
    scratch.write("policy/site.csv", RULES);
    TokenSmith::builder(config(service))
        .policy_folder(scratch.path().join("policy"))
        .policy_interval(Duration::from_millis(100))
        .start()
        .unwrap()
}

fn token(service: &Service) -> String {
    let bootstrap = service.bootstrap_token(&[
        "--subject",
        "power",
        "--audience",
        "inventory",
        "--roles",
        "service",
    ]);
    let answer = service.redeem(&bootstrap).json();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// An axum service on a port of its own.
async fn serve(tokensmith: &TokenSmith) -> u16 {
    async fn nodes(principal: Principal) -> String {
        format!("for {}", principal.id())
    }
    let app = Router::new()
        .route("/nodes", get(nodes))
        .layer(tokensmith.layer())
        .merge(tokensmith.diagnostics_router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    port
}

async fn nodes(port: u16, token: &str) -> http::Response {
    let authorization = format!("Bearer {token}");
    tokio::task::spawn_blocking(move || {
        let headers = [("authorization", authorization.as_str())];
        http::request(port, "GET", "/nodes", &headers).unwrap()
    })
    .await
    .unwrap()
}

async fn until(port: u16, token: &str, status: u16, within: Duration) {
    let end = Instant::now() + within;
    loop {
        let response = nodes(port, token).await;
        if response.status == status {
            return;
        }
        assert!(Instant::now() < end, "never {status}: {response:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn rotate(folder: &Path) -> String {
    let output = run(tokensmith(folder).args(["keys", "rotate", "--now"]));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_policy_are_followed() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let tokensmith = layers(&service, &scratch);
    let port = serve(&tokensmith).await;
    let first = token(&service);
    // Keys may still be on their way: the request waits for them.
    let response = nodes(port, &first).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, "for power")
    );
    let refused = nodes(port, "a.b.c").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["code"], "AUTHN_INVALID");
    assert_eq!(refused.json()["details"]["error"], "token_malformed");

    let version = tokensmith.policy_version();
    scratch.write("policy/site.csv", "p, role:service, health, check\n");
    scratch.write(
        "policy/model.conf",
        tokensmith_engine::policy::BASELINE_MODEL,
    );
    until(port, &first, 403, Duration::from_secs(10)).await;
    assert_ne!(tokensmith.policy_version(), version);
    let second = tokensmith.policy_version();
    scratch.write("policy/site.csv", "p, role:service\n");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        tokensmith.policy_version(),
        second,
        "what does not load changes nothing"
    );
    scratch.write("policy/site.csv", RULES);
    until(port, &first, 200, Duration::from_secs(10)).await;

    let new = rotate(scratch.path());
    service.hang_up();
    let end = Instant::now() + Duration::from_secs(20);
    let rotated = loop {
        let token = token(&service);
        let (_, verified) = service.verify("inventory", &token);
        if verified["kid"] == new.as_str() {
            break token;
        }
        assert!(Instant::now() < end);
    };
    // A key that is not known is asked for when the cool-down of 30 s is over.
    until(port, &rotated, 200, Duration::from_secs(45)).await;
    assert_eq!(
        nodes(port, &first).await.status,
        200,
        "the former key is still published"
    );

    let diagnostics = tokio::task::spawn_blocking(move || {
        http::request(port, "GET", "/authz/diagnostics", &[]).unwrap()
    });
    let diagnostics: Value = diagnostics.await.unwrap().json();
    assert_eq!(diagnostics["policy_source"], "files");
    assert_eq!(diagnostics["policy_version"], tokensmith.policy_version());
    assert_eq!(diagnostics["issuers"][0]["has_keys"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tonic_service_is_guarded_and_its_client_has_a_token() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let tokensmith = layers(&service, &scratch);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let incoming =
        tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = incoming.local_addr().unwrap().port();
    let server = tonic::transport::Server::builder()
        .layer(tokensmith.layer())
        .add_service(health)
        .serve_with_incoming(incoming);
    tokio::spawn(async move { server.await.unwrap() });
    let channel = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let request = || HealthCheckRequest {
        service: String::new(),
    };

    let refused = HealthClient::new(channel.clone())
        .check(request())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert_eq!(refused.message(), "AUTHN_REQUIRED: authentication required");

    let bootstrap = service.bootstrap_token(&[
        "--subject",
        "power",
        "--audience",
        "inventory",
        "--roles",
        "service",
    ]);
    let credential = Credential::BootstrapToken(Secret::new(bootstrap));
    let url = format!("http://127.0.0.1:{}", service.port);
    let client = ServiceClient::start(Settings::new(url, credential))
        .await
        .unwrap();
    let mut guarded = HealthClient::with_interceptor(channel.clone(), client.interceptor());
    guarded.check(request()).await.unwrap();
    let watched = guarded.watch(request()).await.unwrap_err();
    assert_eq!(watched.code(), Code::PermissionDenied, "{watched:?}");
    assert_eq!(watched.message(), "AUTHZ_UNMAPPED: unmapped route");

    client.shutdown().await;
    let ended = guarded.check(request()).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(ended.message().starts_with("client_closed"), "{ended:?}");
}

//! External authorization: the real service behind a real Envoy, and its answers against the
//! filter's.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::{BACKEND, Envoy, address, cluster, ext_authz_filter, grpc_cluster};
use tokensmith_tests::http::Response;
use tokensmith_tests::ports::free_port;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;
use tokensmith_tests::tokens::{Signer, claims, now};

const CLUSTER: &str = "tokensmith_ext_authz";

fn config(signer: &Signer) -> Value {
    json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
            {"match": {"prefix": "/nodes", "methods": ["DELETE", "HEAD"]}, "object": "metadata:nodes", "action": "delete"},
        ],
        "claim_headers": [{"claim": "email", "header": "x-email"}],
        "options_public": true,
    })
}

/// The service, with `config` in the file that it follows.
fn serve(scratch: &Scratch, config: &Value, listen: &str) -> Service {
    let file = scratch.write("ext_authz.json", &config.to_string());
    let file = file.display().to_string();
    let arguments = ["--ext-authz-listen", listen, "--ext-authz-config", &file];
    Service::start(scratch.path(), &arguments).unwrap()
}

/// Envoy that asks the service at `at` before it hands requests on to the backend.
fn envoy(backend: u16, asked: Value) -> Envoy {
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": BACKEND}});
    let clusters = [cluster(BACKEND, backend), asked];
    Envoy::launch(&[ext_authz_filter(CLUSTER)], &route, &clusters, None).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Waits at most twenty seconds.
fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "it never came to: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Method, path, headers.
type Case<'c> = (&'c str, &'c str, Vec<(&'c str, &'c str)>);

#[test]
fn requests_are_allowed_and_denied() {
    let signer = Signer::new(Algorithm::ES256);
    let (scratch, backend, port) = (Scratch::new(), Backend::start(), free_port());
    let _service = serve(&scratch, &config(&signer), &format!("127.0.0.1:{port}"));
    let envoy = envoy(backend.port, grpc_cluster(CLUSTER, &address(port)));
    let token = bearer(&signer.sign(&claims(&json!({"email": "a@b\u{e9}"}))));
    // The second time it is a token that was seen before.
    for _ in 0..2 {
        let forged = [
            ("authorization", token.as_str()),
            ("x-tokensmith-subject", "root"),
            ("x-tokensmith-roles", "admin"),
            ("x-tokensmith-roles", "operator"),
            ("x-email", "root@b"),
        ];
        let response = envoy.request("GET", "/nodes/1?q=/../x", &forged);
        assert_eq!(response.status, 200, "{response:?}\n{}", envoy.log());
        let received = response.json();
        assert_eq!(received["target"], "/nodes/1?q=/../x");
        for (name, value) in [
            ("x-tokensmith-subject", "alice"),
            ("x-tokensmith-principal-type", "user"),
            ("x-tokensmith-roles", "viewer"),
            ("x-tokensmith-scopes", "read"),
            ("x-email", "a@b%C3%A9"),
        ] {
            assert_eq!(received["headers"][name], json!([value]), "{name}");
        }
    }
    // A caller without the claim does not bring its header along.
    let plain = bearer(&signer.sign(&claims(&json!({}))));
    let forged = [("authorization", plain.as_str()), ("x-email", "root@b")];
    let received = envoy.request("GET", "/nodes", &forged).json();
    assert_eq!(received["headers"].get("x-email"), None);

    let public = envoy.request("GET", "/public/x", &[("x-tokensmith-subject", "root")]);
    assert_eq!(public.status, 200);
    assert_eq!(public.json()["headers"].get("x-tokensmith-subject"), None);

    let none = envoy.request("GET", "/nodes", &[]);
    assert_eq!(none.status, 401);
    assert_eq!(none.json()["code"], "AUTHN_REQUIRED");
    assert_eq!(
        none.header("www-authenticate"),
        Some(r#"Bearer realm="tokensmith""#)
    );
    let denied = envoy.request("DELETE", "/nodes/1", &[("authorization", &token)]);
    assert_eq!(denied.status, 403);
    assert_eq!(
        denied.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let body = denied.json();
    assert_eq!(body["code"], "AUTHZ_DENIED");
    assert!(body["policy_version"].as_str().unwrap().starts_with("v2:"));
    assert!(body["request_id"].is_string());
    for target in ["/public/../nodes", "/public%2fx", "/public;x"] {
        assert_eq!(envoy.request("GET", target, &[]).status, 400, "{target}");
    }
}

#[test]
fn answers_are_those_of_the_filter() {
    let signer = Signer::new(Algorithm::RS256);
    let client = Signer::new(Algorithm::ES256);
    let (scratch, backend, port) = (Scratch::new(), Backend::start(), free_port());
    let config = config(&signer);
    let _service = serve(&scratch, &config, &format!("127.0.0.1:{port}"));
    let asking = envoy(backend.port, grpc_cluster(CLUSTER, &address(port)));
    let filtering = Envoy::start(&config, backend.port).unwrap();

    let good = signer.sign(&claims(&json!({})));
    let bound = signer.sign(&claims(&json!({"cnf": {"jkt": client.jwk.thumbprint()}})));
    let proof = client.proof("http://test/nodes", &bound, &json!({}), &json!({}));
    let with_certificate = json!({"cnf": {"x5t#S256": encode_base64url([1; 32])}});
    let tokens = [
        bearer(&good),
        format!("bearer  {good}"),
        bearer(&signer.sign(&claims(&json!({"roles": []})))),
        bearer(&signer.sign(&claims(&json!({"exp": now() - 61})))),
        bearer(&signer.sign(&claims(&json!({"aud": ["other"]})))),
        bearer(&client.sign(&claims(&json!({})))),
        bearer(&signer.sign(&claims(&with_certificate))),
        bearer(&format!("{good}x")),
        bearer("a.b.c"),
        "Basic eA==".to_owned(),
        String::new(),
        format!("DPoP {bound}"),
        bearer(&bound),
    ];
    let mut cases: Vec<Case<'_>> = Vec::new();
    for token in &tokens {
        cases.push(("GET", "/nodes?x=1", vec![("authorization", token)]));
    }
    let token = tokens[0].as_str();
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
        cases.push((method, target, vec![("authorization", token)]));
        cases.push((method, target, vec![]));
    }
    let preflight = vec![
        ("origin", "https://site.test"),
        ("access-control-request-method", "GET"),
    ];
    cases.push(("OPTIONS", "/nodes", preflight));
    let twice = vec![("authorization", token), ("authorization", token)];
    cases.push(("GET", "/nodes", twice));
    let scheme = format!("DPoP {bound}");
    let proven = vec![("authorization", scheme.as_str()), ("dpop", proof.as_str())];
    cases.push(("GET", "/nodes", proven));

    let comparable = |response: &Response| {
        let body = if response.body.is_empty() {
            Value::Null
        } else {
            let mut body = response.json();
            body.as_object_mut().unwrap().remove("request_id");
            // What each of the two Envoys added.
            if let Some(headers) = body["headers"].as_object_mut() {
                headers.retain(|name, _| !name.starts_with("x-envoy") && name != "x-request-id");
            }
            body
        };
        let headers = [
            "content-type",
            "www-authenticate",
            "cache-control",
            "retry-after",
        ]
        .map(|name| response.header(name).map(str::to_owned));
        (response.status, body, headers)
    };
    for (method, target, headers) in cases {
        let asked = asking.request(method, target, &headers);
        let filtered = filtering.request(method, target, &headers);
        assert_eq!(
            comparable(&asked),
            comparable(&filtered),
            "{method} {target} {headers:?}"
        );
    }
}

#[test]
fn without_an_answer_nothing_is_allowed() {
    let signer = Signer::new(Algorithm::ES256);
    let (scratch, backend, port) = (Scratch::new(), Backend::start(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let config = config(&signer);
    let service = serve(&scratch, &config, &listen);
    let envoy = envoy(backend.port, grpc_cluster(CLUSTER, &address(port)));
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let status = |target: &str| {
        let headers = [("authorization", token.as_str())];
        envoy.request("GET", target, &headers).status
    };
    assert_eq!((status("/nodes"), status("/public")), (200, 200));
    drop(service);
    for _ in 0..3 {
        assert_eq!((status("/nodes"), status("/public")), (503, 503));
    }
    let _service = serve(&scratch, &config, &listen);
    until("an answer", || status("/nodes") == 200);
}

#[test]
fn the_configuration_and_the_keys_are_followed() {
    let (old, new) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::ES256));
    let (scratch, backend) = (Scratch::new(), Backend::start());
    backend.publish("/jwks", Some(json!({"keys": [old.jwk.to_json()]})));
    let mut config = config(&old);
    let issuer = config["issuers"][0].as_object_mut().unwrap();
    issuer.remove("jwks");
    let uri = format!("http://127.0.0.1:{}/jwks", backend.port);
    issuer.insert("jwks_uri".to_owned(), uri.into());
    issuer.insert("jwks_cluster".to_owned(), "of no matter here".into());
    let socket = scratch.path().join("ext_authz.sock").display().to_string();
    let service = serve(&scratch, &config, &format!("unix:{socket}"));
    let mut asked = grpc_cluster(CLUSTER, &json!({"pipe": {"path": socket}}));
    // Without the health service no request would be asked about.
    asked["health_checks"] = json!([{
        "timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
        "grpc_health_check": {"service_name": "envoy.service.auth.v3.Authorization"},
    }]);
    asked["common_lb_config"] = json!({"healthy_panic_threshold": {"value": 0}});
    let envoy = envoy(backend.port, asked);
    let ask = |signer: &Signer, target: &str| {
        let token = bearer(&signer.sign(&claims(&json!({}))));
        envoy.request("GET", target, &[("authorization", &token)])
    };
    until("the keys", || ask(&old, "/nodes").status == 200);
    assert_eq!(ask(&new, "/nodes").status, 401);

    // What is no configuration changes nothing.
    let version = ask(&old, "/none").json()["policy_version"].clone();
    scratch.write("ext_authz.json", r#"{"issuers": [], "mod": "off"}"#);
    service.hang_up();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(ask(&old, "/nodes").status, 200);
    assert_eq!(ask(&old, "/none").status, 403);

    config["policy"] = json!({"rules": "p, role:viewer, metadata:other, read\n"});
    scratch.write("ext_authz.json", &config.to_string());
    service.hang_up();
    until("another policy", || ask(&old, "/nodes").status == 403);
    assert_ne!(ask(&old, "/none").json()["policy_version"], version);

    // Keys are kept over a configuration that changes: none of the answers was 503 above. New
    // ones are fetched when a token names them, at most once in 30 seconds.
    backend.publish("/jwks", Some(json!({"keys": [new.jwk.to_json()]})));
    let end = Instant::now() + Duration::from_secs(45);
    while ask(&new, "/nodes").status != 403 {
        assert!(Instant::now() < end, "{}", envoy.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ask(&old, "/nodes").status, 401, "a withdrawn key");
}

#[test]
fn there_is_no_start_with_a_bad_configuration() {
    let signer = Signer::new(Algorithm::ES256);
    let scratch = Scratch::new();
    let mut without_keys = config(&signer);
    without_keys["issuers"][0]
        .as_object_mut()
        .unwrap()
        .remove("jwks");
    without_keys["issuers"][0]["jwks_uri"] = json!("ftp://issuer.test/jwks");
    for (text, message) in [
        ("{".to_owned(), "configuration is not valid"),
        (
            json!({"issuers": []}).to_string(),
            "needs at least one issuer",
        ),
        (without_keys.to_string(), "issuers[0].jwks_uri"),
    ] {
        let file = scratch.write("bad.json", &text).display().to_string();
        let arguments = [
            "--ext-authz-listen",
            "127.0.0.1:0",
            "--ext-authz-config",
            &file,
        ];
        let log = Service::start(scratch.path(), &arguments).unwrap_err();
        assert!(log.contains(message), "{message} is not in {log}");
    }
}

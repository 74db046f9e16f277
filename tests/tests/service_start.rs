//! How the service starts, refuses to start, and what it publishes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tokensmith_tests::http;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

#[test]
fn published_documents_can_be_cached() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let response = service.get("/.well-known/jwks.json");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        response.header("cache-control"),
        Some("public, max-age=300")
    );
    let key = &response.json()["keys"][0];
    assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
    assert!(key["d"].is_null());
    let etag = response.header("etag").unwrap();
    let again = http::request(
        service.port,
        "GET",
        "/.well-known/jwks.json",
        &[("if-none-match", etag)],
    )
    .unwrap();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let metadata = service
        .get("/.well-known/oauth-authorization-server")
        .json();
    assert_eq!(metadata["issuer"], service.issuer);
    assert_eq!(
        metadata["jwks_uri"],
        format!("{}/.well-known/jwks.json", service.issuer)
    );
    let health = service.get("/health").json();
    assert_eq!(
        (&health["status"], &health["service"]),
        (&json!("healthy"), &json!("tokensmith"))
    );
    assert!(
        health["policy_version"]
            .as_str()
            .unwrap()
            .starts_with("v2:")
    );
    assert_eq!(service.get("/ready").json()["status"], "ready");
}

#[test]
fn a_site_policy_changes_the_policy_version() {
    let scratch = Scratch::new();
    let baseline = Service::start(scratch.path(), &[]).unwrap();
    let version = |service: &Service| service.get("/health").json()["policy_version"].clone();
    scratch.write("policy/10-site.csv", "p, role:auditor, audit:log, read\n");
    let site = Service::start(scratch.path(), &["--policy-dir", "policy"]).unwrap();
    assert_ne!(version(&baseline), version(&site));
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_served() {
    let scratch = Scratch::new();
    scratch.write("bad-rules/20-site.csv", "# ours\n\np, role:viewer, nodes\n");
    scratch.write(
        "bad-model/model.conf",
        "[request_definition]\nr = sub, obj\n",
    );
    scratch.write("config.json", "{\n \"groupScope\": {}\n}");
    scratch.write("key.pem", "not a key");
    std::fs::set_permissions(
        scratch.path().join("key.pem"),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    scratch.write("open.pem", "not a key");
    std::fs::set_permissions(
        scratch.path().join("open.pem"),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let oidc = |issuer: &'static str| vec!["--oidc-issuer", issuer, "--oidc-client-id", "c"];
    let cases = [
        (
            vec!["--policy-dir", "bad-rules"],
            1,
            "bad-rules/20-site.csv:3:1: ",
        ),
        (vec!["--policy-dir", "bad-model"], 1, "bad-model/model.conf"),
        (vec!["--policy-dir", "missing"], 1, "`missing`"),
        (vec!["--config", "config.json"], 1, "config.json:2:"),
        (vec!["--config", "missing.json"], 1, "`missing.json`"),
        (
            vec!["--key-file", "key.pem"],
            1,
            "`key.pem` is not a PEM private key",
        ),
        (vec!["--key-file", "open.pem"], 1, "chmod 600 open.pem"),
        (oidc("http://hydra:4444"), 1, "`--oidc-allow-http`"),
        (oidc("hydra"), 1, "`hydra`"),
        (
            vec!["--oidc-issuer", "https://idp.example"],
            2,
            "--oidc-client-id",
        ),
        (vec!["--store", "redis:x"], 2, "`redis:x`"),
        (vec!["--audience", ""], 2, "`--audience`"),
        (vec!["--oidc-timeout", "soon"], 2, "soon"),
    ];
    for (arguments, code, message) in cases {
        let output = run(tokensmith(scratch.path())
            .args(["serve", "--listen-address", "127.0.0.1", "--port", "0"])
            .args(&arguments));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(
        !scratch.path().join("data").exists(),
        "nothing half-made is left"
    );
}

#[test]
fn the_environment_sets_what_no_flag_does() {
    let scratch = Scratch::new();
    scratch.write("from-flag/a.csv", "p, a, b, c\n");
    scratch.write("from-environment/a.csv", "p, a, b\n");
    let output = run(tokensmith(scratch.path())
        .env("TOKENSMITH_POLICY_DIR", " ")
        .env("AUTHZ_POLICY_DIR", "from-environment")
        .args(["serve", "--port", "0"]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("from-environment/a.csv:1:"), "{errors}");
    let service = Service::start(scratch.path(), &["--policy-dir", "from-flag"]).unwrap();
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn a_key_of_the_operator_signs() {
    for (name, arguments) in [
        (
            "ES256",
            vec!["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
        ),
        (
            "ES256",
            vec![
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
        ),
        ("RS256", vec!["genrsa", "2048"]),
        ("RS256", vec!["genrsa", "-traditional", "3072"]),
    ] {
        let scratch = Scratch::new();
        let key = scratch.path().join("key.pem");
        let made = run(std::process::Command::new("openssl").args(&arguments));
        assert!(made.status.success(), "{made:?}");
        std::fs::write(&key, &made.stdout).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let service = Service::start(scratch.path(), &["--key-file", "key.pem"]).unwrap();
        let token = service.bootstrap_token(&["--subject", "s", "--audience", "smd"]);
        let answer = service.redeem(&token).json();
        let (code, verified) = service.verify("smd", answer["access_token"].as_str().unwrap());
        assert_eq!(
            (code, &verified["alg"]),
            (Some(0), &json!(name)),
            "{verified}"
        );
    }
}

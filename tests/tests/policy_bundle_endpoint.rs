//! `GET /policy/bundle` of the real service.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::decode_base64url;
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

fn start(scratch: &Scratch) -> Service {
    let folder = scratch.path().join("policy").display().to_string();
    Service::start(scratch.path(), &["--policy-dir", &folder]).unwrap()
}

fn bundle(service: &Service) -> Response {
    let response = service.get("/policy/bundle");
    assert_eq!(response.status, 200, "{response:?}");
    response
}

fn payload(response: &Response) -> Value {
    let payload = response.body.split('.').nth(1).unwrap();
    serde_json::from_slice(&decode_base64url(payload).unwrap()).unwrap()
}

/// What the command line says about a bundle, with the service's keys and a state that it keeps.
fn open(scratch: &Scratch, service: &Service, response: &Response) -> (Option<i32>, Value) {
    let file = scratch.write("bundle.jws", &response.body);
    let jwks = format!("http://127.0.0.1:{}/.well-known/jwks.json", service.port);
    let output = run(tokensmith(scratch.path())
        .args(["policy", "bundle", "open", "--jwks", &jwks])
        .args(["--issuer", &service.issuer, "--state", "state.json"])
        .arg(file));
    let about =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"));
    (output.status.code(), about)
}

fn policy_changes(scratch: &Scratch, service: &Service, rules: &str) -> Response {
    let before = bundle(service);
    scratch.write("policy/site.csv", rules);
    service.hang_up();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let now = bundle(service);
        if payload(&now)["rules"] != payload(&before)["rules"] {
            return now;
        }
        assert!(Instant::now() < end, "the policy does not change");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_policy_in_use_is_published_signed() {
    let scratch = Scratch::new();
    scratch.write("policy/site.csv", "p, role:viewer, queue, read\n");
    let service = start(&scratch);
    let first = bundle(&service);
    assert_eq!(first.header("content-type"), Some("application/jose"));
    assert_eq!(first.header("cache-control"), Some("public, max-age=60"));
    let (code, about) = open(&scratch, &service, &first);
    assert_eq!((code, &about["valid"]), (Some(0), &json!(true)), "{about}");
    let health = service.get("/health").json();
    assert_eq!(about["policy_version"], health["policy_version"]);
    let content = payload(&first);
    assert_eq!(
        content["exp"].as_i64().unwrap() - content["iat"].as_i64().unwrap(),
        86_400
    );
    let names: Vec<&str> = content["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["<baseline rules>", "site.csv"]);

    // Whoever has it is not sent it again.
    let tag = first.header("etag").unwrap().to_owned();
    let ask = |tag: &str| {
        let headers = [("if-none-match", tag)];
        http::request(service.port, "GET", "/policy/bundle", &headers).unwrap()
    };
    let known = ask(&tag);
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    assert_eq!(known.header("etag"), Some(tag.as_str()));
    assert_eq!(ask("\"other\"").status, 200);
    assert_eq!(bundle(&service).body, first.body, "it is signed once");

    // Comments are another text of the same policy, and another bundle.
    let commented = "# ours\np, role:viewer, queue, read\n";
    let second = policy_changes(&scratch, &service, commented);
    assert_eq!(ask(&tag).status, 200);
    let (one, two) = (payload(&first), payload(&second));
    assert_eq!(one["policy_version"], two["policy_version"]);
    assert!(two["sequence"].as_i64() > one["sequence"].as_i64());
    assert_eq!(open(&scratch, &service, &second).0, Some(0));
    let (code, about) = open(&scratch, &service, &first);
    assert_eq!((code, &about["code"]), (Some(1), &json!("bundle_rollback")));
}

#[test]
fn the_sequence_outlives_the_service() {
    let scratch = Scratch::new();
    let rules = "p, role:viewer, queue, read\n";
    scratch.write("policy/site.csv", rules);
    let service = start(&scratch);
    let first = bundle(&service);
    assert_eq!(open(&scratch, &service, &first).0, Some(0));
    drop(service);

    let service = start(&scratch);
    let again = bundle(&service);
    assert_eq!(payload(&again), payload(&first), "the same payload");
    assert_eq!(open(&scratch, &service, &again).0, Some(0));
    let other = policy_changes(&scratch, &service, "p, role:viewer, queue, write\n");
    let back = policy_changes(&scratch, &service, rules);
    let sequence = |response: &Response| payload(response)["sequence"].as_i64().unwrap();
    assert_eq!(sequence(&other), sequence(&first) + 1);
    assert_eq!(sequence(&back), sequence(&first) + 2, "it never goes back");
    assert_eq!(open(&scratch, &service, &back).0, Some(0));

    // What is not a policy is not published; the one in use is.
    scratch.write("policy/bad.csv", "p, role:viewer\n");
    service.hang_up();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(bundle(&service).body, back.body);
}

//! The real service on a filesystem without room: nothing is issued that is not kept, nothing is
//! used up that was not answered, and with room again it goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::Value;
use tokensmith_tests::http::Response;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tests::small_disk::SmallDisk;

const CREATE: [&str; 4] = ["--subject", "boot-service", "--audience", "smd"];
/// Room for an empty store and some lines, not for many.
const KIBIBYTES: u32 = 4096;

#[test]
fn a_store_without_room_issues_nothing_and_uses_nothing_up() {
    let test = "a_store_without_room_issues_nothing_and_uses_nothing_up";
    let Some(disk) = SmallDisk::mount(test, KIBIBYTES) else {
        return;
    };
    let scratch = Scratch::new();
    let store = format!("sqlite:{}", disk.path().join("tokensmith.db").display());
    let service = Service::start(scratch.path(), &["--store", &store]).unwrap();
    let create: Vec<&str> = CREATE.iter().copied().chain(["--store", &store]).collect();
    let [first, second] = [(); 2].map(|()| service.bootstrap_token(&create));
    let issued = service.redeem(&first).json();
    let refresh_token = issued["refresh_token"].as_str().unwrap();

    disk.fill();
    for _ in 0..3 {
        expect_no_room(&service.redeem(&second), "store_full");
        expect_no_room(&service.refresh(refresh_token), "store_full");
    }
    let make = run(tokensmith(scratch.path())
        .args(["bootstrap-token", "create"])
        .args(&create));
    assert!(!make.status.success(), "{make:?}");
    assert!(make.stdout.is_empty(), "no token that is not kept");
    // What needs no room goes on.
    assert_eq!(service.get("/health").status, 200);
    assert_eq!(service.get("/.well-known/jwks.json").status, 200);

    disk.free();
    let redeemed = service.redeem(&second);
    assert_eq!(redeemed.status, 200, "it was not used up: {redeemed:?}");
    let refreshed = service.refresh(refresh_token);
    assert_eq!(refreshed.status, 200, "it was not used up: {refreshed:?}");
    assert_eq!(service.redeem(&second).status, 400, "good once");
    drop(service);
    let checked = run(tokensmith(scratch.path()).args(["store", "check", "--store", &store]));
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn an_audit_log_without_room_issues_nothing_and_stays_whole() {
    let test = "an_audit_log_without_room_issues_nothing_and_stays_whole";
    let Some(disk) = SmallDisk::mount(test, KIBIBYTES) else {
        return;
    };
    let scratch = Scratch::new();
    let log = disk.path().join("audit.jsonl").display().to_string();
    let service = Service::start(scratch.path(), &["--audit-log", &log]).unwrap();
    // The log's last page may have room for some lines, not for this many.
    let tokens: Vec<String> = (0..24).map(|_| service.bootstrap_token(&CREATE)).collect();
    let mut tokens = tokens.iter();
    assert_eq!(service.redeem(tokens.next().unwrap()).status, 200);

    disk.fill();
    let mut lines = 1;
    let refused = loop {
        let token = tokens.next().expect("the disk is never full");
        let answer = service.redeem(token);
        if answer.status != 200 {
            expect_no_room(&answer, "audit_unavailable");
            break token;
        }
        lines += 1;
    };
    assert_eq!(
        lines_of(&scratch, &log),
        lines,
        "each that was issued, and no part of another"
    );
    assert_eq!(service.redeem("guess").status, 400);
    let lines = lines_of(&scratch, &log);

    disk.free();
    let redeemed = service.redeem(refused);
    assert_eq!(redeemed.status, 200, "it was not used up: {redeemed:?}");
    assert_eq!(service.redeem(refused).status, 400, "good once");
    assert_eq!(lines_of(&scratch, &log), lines + 2);
}

fn expect_no_room(answer: &Response, code: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["error"], "temporarily_unavailable", "{body}");
    assert_eq!(body["code"], code, "{body}");
    for token in ["access_token", "refresh_token"] {
        assert!(body[token].is_null(), "{body}");
    }
}

/// How many lines a log has, all of them whole.
fn lines_of(scratch: &Scratch, log: &str) -> u64 {
    let output = run(tokensmith(scratch.path()).args(["audit", "verify", "--json", log]));
    let verdict: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"));
    assert_eq!(verdict["valid"], true, "{verdict}");
    verdict["lines"].as_u64().unwrap()
}

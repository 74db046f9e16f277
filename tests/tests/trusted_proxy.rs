//! Callers behind a proxy: whom failed attempts count against, and whom the audit log names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use serde_json::Value;
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{BOOTSTRAP_TOKEN, Service, TOKEN_EXCHANGE, run, tokensmith};

/// The tests are the proxy.
const TRUSTED: [&str; 2] = ["--trusted-proxy", "127.0.0.0/8"];
/// Failed attempts in a minute after which a caller has to wait.
const ATTEMPTS: usize = 5;
const LOG: &str = "audit.jsonl";

fn start(scratch: &Scratch, arguments: &[&str]) -> Service {
    let all = [&["--audit-log", LOG][..], arguments].concat();
    Service::start(scratch.path(), &all).unwrap()
}

fn post(service: &Service, headers: &[(&str, &str)], body: &str) -> Response {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers = [&[form][..], headers].concat();
    http::send(service.port, "POST", "/oauth/token", &headers, body).unwrap()
}

/// Uses a refresh token that there is not.
fn guess(service: &Service, headers: &[(&str, &str)]) -> u16 {
    let body = "grant_type=refresh_token&refresh_token=made-up";
    let response = post(service, headers, body);
    if response.status == 429 {
        let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{response:?}");
    }
    response.status
}

/// Redeems a good bootstrap token, made for this.
fn redeem(service: &Service, headers: &[(&str, &str)]) -> u16 {
    let token = service.bootstrap_token(&["--subject", "boot-service", "--audience", "smd"]);
    let parameters = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token_type", BOOTSTRAP_TOKEN),
        ("subject_token", token.trim()),
    ];
    let body = parameters
        .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")))
        .join("&");
    post(service, headers, &body).status
}

/// Event and client of each line of the audit log.
fn audited(folder: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let member = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (member(&line, "event"), member(&line, "client")))
        .collect()
}

fn lines(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter()
        .map(|(event, client)| ((*event).to_owned(), (*client).to_owned()))
        .collect()
}

#[test]
fn callers_behind_a_trusted_proxy_are_counted_apart() {
    let scratch = Scratch::new();
    let service = start(&scratch, &TRUSTED);
    let one = [("x-forwarded-for", "192.0.2.1")];
    let other = [("x-forwarded-for", "192.0.2.2")];
    for attempt in 0..ATTEMPTS {
        assert_eq!(guess(&service, &one), 400, "{attempt}");
        if attempt > 0 {
            assert_eq!(guess(&service, &other), 400, "{attempt}");
        }
    }
    assert_eq!(guess(&service, &one), 429);
    assert_eq!(guess(&service, &other), 400, "it has failed four times");
    assert_eq!(guess(&service, &other), 429);
    assert_eq!(redeem(&service, &one), 429, "good tokens wait too");
    assert_eq!(redeem(&service, &[("x-forwarded-for", "192.0.2.3")]), 200);
    assert_eq!(
        redeem(&service, &[]),
        200,
        "the proxy itself has not failed"
    );

    // The same caller, however it is named, and whatever it says of itself.
    for named in [
        ("x-forwarded-for", "192.0.2.1:4711"),
        ("x-forwarded-for", "::ffff:192.0.2.1"),
        ("x-forwarded-for", "198.51.100.7, 192.0.2.1"),
        ("x-forwarded-for", "198.51.100.7, 192.0.2.1, 127.0.0.9"),
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("forwarded", "for=198.51.100.7, for=\"192.0.2.1:4711\""),
    ] {
        assert_eq!(guess(&service, &[named]), 429, "{named:?}");
    }
}

#[test]
fn a_network_of_ipv6_is_one_caller_behind_a_proxy_too() {
    let scratch = Scratch::new();
    let service = start(&scratch, &TRUSTED);
    for host in 0..ATTEMPTS {
        let address = format!("2001:db8:0:1::{host}");
        let headers = [("x-forwarded-for", address.as_str())];
        assert_eq!(guess(&service, &headers), 400, "{host}");
    }
    let guess = |address| guess(&service, &[("x-forwarded-for", address)]);
    assert_eq!(guess("[2001:db8:0:1:ffff::1]:4711"), 429);
    assert_eq!(guess("2001:db8:0:2::1"), 400);
}

#[test]
fn what_names_no_caller_counts_against_the_proxy() {
    let scratch = Scratch::new();
    let service = start(&scratch, &TRUSTED);
    let cases: [&[(&str, &str)]; ATTEMPTS] = [
        &[
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "unknown"),
        ],
        &[("x-forwarded-for", "")],
        &[("x-forwarded-for", "192.0.2.4, unknown")],
        &[("forwarded", "for=_hidden")],
        &[("x-real-ip", "192.0.2.5")],
    ];
    for headers in cases {
        assert_eq!(guess(&service, headers), 400, "{headers:?}");
    }
    assert_eq!(guess(&service, &[]), 429);
    assert_eq!(guess(&service, &[("x-forwarded-for", "192.0.2.1")]), 400);
}

#[test]
fn what_a_caller_adds_does_not_hide_it() {
    let scratch = Scratch::new();
    let service = start(&scratch, &TRUSTED);
    // What the proxy wrote is the last line, and it does not write `Forwarded`.
    let headers = |first: &'static str| {
        [
            ("x-forwarded-for", first),
            ("x-forwarded-for", "192.0.2.7"),
            ("forwarded", "for=198.51.100.1"),
        ]
    };
    for first in ["192.0.2.1", "192.0.2.2", "unknown", "127.0.0.1", ""] {
        assert_eq!(guess(&service, &headers(first)), 400, "{first}");
    }
    assert_eq!(guess(&service, &[("x-forwarded-for", "192.0.2.7")]), 429);
    assert_eq!(guess(&service, &[]), 400, "the proxy itself");
}

#[test]
fn nobody_else_is_believed() {
    let settings: [&[&str]; 2] = [&[], &["--trusted-proxy", "10.0.0.0/8,192.0.2.0/24"]];
    let named: [&[(&str, &str)]; 3] = [
        &[],
        &[("x-forwarded-for", "192.0.2.99")],
        &[("forwarded", "for=192.0.2.99")],
    ];
    for arguments in settings {
        let scratch = Scratch::new();
        let service = start(&scratch, arguments);
        for host in 0..ATTEMPTS {
            let address = format!("192.0.2.{host}");
            let headers = [("x-forwarded-for", address.as_str())];
            assert_eq!(guess(&service, &headers), 400, "{arguments:?} {host}");
        }
        for headers in named {
            assert_eq!(guess(&service, headers), 429, "{arguments:?} {headers:?}");
        }
        let denied = [("denied", "127.0.0.1"); ATTEMPTS];
        assert_eq!(audited(scratch.path()), lines(&denied), "{arguments:?}");
    }
}

#[test]
fn the_audit_log_names_the_caller() {
    let scratch = Scratch::new();
    let service = start(&scratch, &TRUSTED);
    let named = [("x-forwarded-for", "198.51.100.7, 192.0.2.1")];
    assert_eq!(redeem(&service, &named), 200);
    assert_eq!(guess(&service, &named), 400);
    let named = [("forwarded", "for=\"[2001:db8::7]:4711\"")];
    assert_eq!(guess(&service, &named), 400);
    assert_eq!(guess(&service, &[("x-forwarded-for", "nobody")]), 400);
    assert_eq!(
        audited(scratch.path()),
        lines(&[
            ("issue", "192.0.2.1"),
            ("denied", "192.0.2.1"),
            ("denied", "2001:db8::7"),
            ("denied", "127.0.0.1"),
        ])
    );
    let output = run(tokensmith(scratch.path()).args(["audit", "verify", LOG]));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_network_that_is_none_is_named() {
    let scratch = Scratch::new();
    for network in ["127.0.0.0/33", "localhost", "10.0.0.0/8,"] {
        let output = run(tokensmith(scratch.path()).args(["serve", "--trusted-proxy", network]));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{network}: {message}");
        assert!(message.contains("--trusted-proxy"), "{message}");
    }
}

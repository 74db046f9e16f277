//! Requests that are none, and large ones.

use serde_json::json;
use tokensmith_tests::wasm_host::{Headers, Outcome, headers};

use crate::scene::{Scene, request, with_token};

fn without(mut headers: Headers, name: &str) -> Headers {
    headers.retain(|(own, _)| own != name.as_bytes());
    headers
}

fn plus(mut headers: Headers, name: &str, value: impl Into<Vec<u8>>, copies: usize) -> Headers {
    let value = value.into();
    for _ in 0..copies {
        headers.push((name.as_bytes().to_vec(), value.clone()));
    }
    headers
}

fn first_with(headers: Headers, name: &str, value: impl Into<Vec<u8>>) -> Headers {
    let mut changed = without(headers, name);
    changed.insert(0, (name.as_bytes().to_vec(), value.into()));
    changed
}

fn cases(good: &Headers, token: &str) -> Vec<(&'static str, Headers)> {
    let good = || good.clone();
    let megabyte = 1 << 20;
    vec![
        ("none", Vec::new()),
        ("no method", without(good(), ":method")),
        ("no path", without(good(), ":path")),
        ("neither", without(without(good(), ":method"), ":path")),
        ("no authority", without(good(), ":authority")),
        (
            "only forged",
            headers(&[("x-tokensmith-subject", "root-forged")]),
        ),
        ("two paths", plus(good(), ":path", "/public/x", 1)),
        ("two paths, the public one first", {
            let mut twice = good();
            twice.insert(0, (b":path".to_vec(), b"/public/x".to_vec()));
            twice
        }),
        ("two methods", plus(good(), ":method", "DELETE", 1)),
        (
            "a zero in the path",
            first_with(good(), ":path", "/nodes/\0/../public"),
        ),
        (
            "no UTF-8 in the path",
            first_with(good(), ":path", b"/nodes/\xff".to_vec()),
        ),
        (
            "no UTF-8 in the method",
            first_with(good(), ":method", b"GET\xff".to_vec()),
        ),
        (
            "no UTF-8 in an id",
            first_with(good(), "x-request-id", b"\xff\xfe".to_vec()),
        ),
        ("an empty path", first_with(good(), ":path", "")),
        ("an empty method", first_with(good(), ":method", "")),
        (
            "a zero in the token",
            with_token("GET", "/nodes", &format!("{token}\0")),
        ),
        (
            "a zero in a token",
            with_token("GET", "/nodes", &token.replace('.', "\0")),
        ),
        (
            "no UTF-8 in the token",
            plus(
                request("GET", "/nodes", &[]),
                "authorization",
                [b"Bearer \xff", token.as_bytes()].concat(),
                1,
            ),
        ),
        ("an empty name", plus(good(), "", "x", 1)),
        (
            "a megabyte in a header",
            plus(good(), "x-large", vec![b'x'; megabyte], 1),
        ),
        (
            "a megabyte of token",
            with_token("GET", "/nodes", &"a.".repeat(megabyte / 2)),
        ),
        (
            "a megabyte of path",
            first_with(good(), ":path", "/nodes".repeat(megabyte / 6)),
        ),
        (
            "a megabyte of method",
            first_with(good(), ":method", vec![b'G'; megabyte]),
        ),
        (
            "a megabyte of id",
            first_with(good(), "x-request-id", vec![b'i'; megabyte]),
        ),
        ("10,000 headers", plus(good(), "x-many", "y", 10_000)),
        (
            "10,000 forged ones",
            plus(good(), "x-tokensmith-roles", "admin-forged", 10_000),
        ),
        (
            "10,000 cookies",
            plus(good(), "cookie", "session=x", 10_000),
        ),
        (
            "a cookie of 10,000",
            plus(good(), "cookie", "a=b; ".repeat(10_000), 1),
        ),
        (
            "10,000 tokens",
            plus(good(), "authorization", format!("Bearer {token}"), 10_000),
        ),
        (
            "a query of 10,000",
            first_with(
                good(),
                ":path",
                format!("/nodes?{}", "access_token=x&".repeat(10_000)),
            ),
        ),
        (
            "forged in capitals",
            plus(good(), "X-Tokensmith-Subject", "root-forged", 1),
        ),
    ]
}

#[test]
fn whatever_is_sent_nothing_forged_goes_on() {
    for scene in [
        Scene::plain(),
        Scene::full(),
        Scene::overridden(),
        Scene::remote(),
    ] {
        let mut vm = scene.vm();
        let now = vm.host().now();
        let token = scene.token(now, &json!({}));
        let good = with_token("GET", "/nodes/1", &token);
        for (name, headers) in cases(&good, &token) {
            let context = vm.open(1, headers).unwrap();
            let outcome = vm
                .request_headers(context)
                .unwrap_or_else(|trapped| panic!("{name}: {trapped:?}"));
            scene.assert_not_forged(&outcome, name);
            if let Outcome::Denied(answer) = &outcome {
                assert!(answer.status >= 400, "{name}: {answer:?}");
                assert!(answer.body.len() < 1 << 22, "{name}: {}", answer.body.len());
            }
            vm.end(context).unwrap();
        }
        let memory = vm.memory();
        assert!(memory < 192 << 20, "{memory} bytes");
    }
}

#[test]
fn who_sends_what_is_no_request_is_not_let_in() {
    let scene = Scene::plain();
    let mut vm = scene.vm();
    let now = vm.host().now();
    let stranger = scene.bad(now);
    let (_, authorization) = stranger
        .iter()
        .find(|(name, _)| name == b"authorization")
        .unwrap();
    let token = String::from_utf8(authorization.clone()).unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    for (name, headers) in cases(&stranger, token) {
        let public = headers.iter().find(|(own, _)| own == b":path");
        let public = public.is_some_and(|(_, value)| value == b"/public/x");
        let outcome = vm.request(headers).unwrap();
        let went_on = matches!(outcome, Outcome::Continued(_));
        assert_eq!(went_on, public, "{name}: {outcome:?}");
    }
}

//! Paths that proxies and services read differently, in a real Envoy, whatever Envoy does to them
//! itself: no way of writing a path gets past the route that protects it.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::Setup;
use tokensmith_tests::http;
use tokensmith_tests::tokens::{Signer, claims};

/// Written so that some reader somewhere takes them for a path below `/nodes` or `/secret`.
const CONFUSING: [&str; 54] = [
    "/public/../nodes/1",
    "/public/..",
    "/public/./../nodes",
    "/public/%2e%2e/nodes/1",
    "/public/%2E%2E/nodes/1",
    "/public/.%2e/nodes/1",
    "/public/%252e%252e/nodes/1",
    "/public/%25252e%25252e/nodes/1",
    "/public/..%2fnodes/1",
    "/public/..%2Fnodes/1",
    "/public/..%252fnodes/1",
    "/public%2f..%2fnodes/1",
    "/public%2F..%2Fnodes",
    "/public/..%5cnodes/1",
    "/public/..%5Cnodes/1",
    "/public\\..\\nodes\\1",
    "/public/..\\nodes/1",
    "/public/..;/nodes/1",
    "/public/..;x=1/nodes/1",
    "/public/..%3b/nodes/1",
    "/public;/../nodes/1",
    "/public/;/../nodes",
    "/public//../nodes/1",
    "/public//..//nodes/1",
    "//nodes/1",
    "//public/../nodes/1",
    "///nodes",
    "/./nodes/1",
    "/.//nodes/1",
    "/%2fnodes/1",
    "/%2e/nodes/1",
    "/%5cnodes",
    "/public/%00/../nodes",
    "/public/..%00/nodes/1",
    "/public/..%0d%0a/nodes/1",
    "/public/%09/../nodes/1",
    "/public/..%c0%afnodes/1",
    "/public/%c0%ae%c0%ae/nodes/1",
    "/public/%e0%80%af../nodes",
    "/public/%uff0e%uff0e/nodes",
    "/public/\u{ff0e}\u{ff0e}/nodes/1",
    "/public/..\u{2215}nodes",
    "/public/%",
    "/public/%2",
    "/public/%zz/../nodes",
    "/public/..?/../nodes/1",
    "/public/..#/nodes/1",
    "/public#/../nodes/1",
    "/public/../nodes/1?x=/public/",
    "http://test/public/../nodes/1",
    "http://test//nodes/1",
    "http://test/public/%2e%2e/nodes",
    "/secret/../nodes/1",
    "/nodes/../public/../nodes/1",
];

/// What is below `/public` for every reader.
const PLAIN: [&str; 6] = [
    "/public",
    "/public/",
    "/public/a%20b",
    "/public/..a/b..",
    "/public/%C3%A9",
    "/public/x?y=/../nodes/1&z=%2e%2e%2f;//",
];

/// The path that the most obliging of services would read: decoded until nothing is left to decode,
/// `\` for `/`, parameters cut off, empty and dot segments taken out.
fn read_obligingly(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap();
    let path = path.strip_prefix("http://test").unwrap_or(path);
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..4 {
        bytes = decoded(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let name = segment.split([';', '\0', '\r', '\n', '?', '#']).next();
        match name.unwrap().trim() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        let byte = bytes.get(at)?;
        char::from(*byte).to_digit(16)
    };
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

fn config(signer: &Signer) -> Value {
    json!({
        "issuers": [{
            "issuer": "https://issuer.test", "audiences": ["svc"],
            "jwks": {"keys": [signer.jwk.to_json()]},
        }],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"exact": "/nodes/1"}, "object": "metadata:nodes", "action": "delete"},
            {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
        ],
    })
}

fn envoys() -> [(&'static str, Value); 5] {
    [
        ("as it comes", json!({})),
        (
            "normalised",
            json!({"normalize_path": true, "merge_slashes": true}),
        ),
        (
            "unescaped slashes",
            json!({
                "normalize_path": true, "merge_slashes": true,
                "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
            }),
        ),
        (
            "kept slashes",
            json!({
                "normalize_path": true, "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            }),
        ),
        (
            "refused slashes",
            json!({
                "normalize_path": true, "path_with_escaped_slashes_action": "REJECT_REQUEST",
            }),
        ),
    ]
}

#[test]
fn no_way_of_writing_a_path_gets_past_its_route() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let token = format!("Bearer {}", signer.sign(&claims(&json!({}))));
    for (envoy_is, manager) in envoys() {
        let envoy = Setup {
            manager,
            ..Setup::new(&config(&signer), backend.port)
        }
        .start()
        .unwrap();
        let mut refused = 0;
        for target in CONFUSING {
            // Envoy closes the connection on what it does not take for HTTP.
            let Ok(anonymous) = http::request(envoy.port, "GET", target, &[]) else {
                continue;
            };
            refused += usize::from(anonymous.status != 200);
            if anonymous.status == 200 {
                let reached = anonymous.json()["target"].as_str().unwrap().to_owned();
                let read = read_obligingly(&reached);
                let is_public = read == "/public" || read.starts_with("/public/");
                assert!(
                    is_public,
                    "{envoy_is}: {target} reached {reached}, read as {read}"
                );
            }
            // A viewer reads nodes, and must not get at the one that only administrators delete.
            let headers = [("authorization", token.as_str())];
            let viewer = envoy.request("GET", target, &headers);
            if viewer.status == 200 {
                let reached = viewer.json()["target"].as_str().unwrap().to_owned();
                let read = read_obligingly(&reached);
                assert_ne!(read, "/nodes/1", "{envoy_is}: {target} reached {reached}");
            }
        }
        assert!(
            refused > CONFUSING.len() / 2,
            "{envoy_is}: only {refused} refused"
        );
        for target in PLAIN {
            let response = envoy.request("GET", target, &[]);
            assert_eq!(response.status, 200, "{envoy_is}: {target}: {response:?}");
        }
        let headers = [("authorization", token.as_str())];
        assert_eq!(envoy.request("GET", "/nodes/2", &headers).status, 200);
        assert_eq!(envoy.request("GET", "/nodes/1", &headers).status, 403);
        assert_eq!(envoy.request("GET", "/nodes/%31", &headers).status, 403);
    }
}

#[test]
fn the_obliging_reader_reads_everything() {
    for (target, path) in [
        ("/public/%252e%252e/nodes/1", "/nodes/1"),
        ("/public/..;x/nodes", "/nodes"),
        ("/public\\..%5cnodes//1", "/nodes/1"),
        ("/public/a?b", "/public/a"),
        ("/..%00/public", "/public"),
    ] {
        assert_eq!(read_obligingly(target), path, "{target}");
    }
}

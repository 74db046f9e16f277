//! Tokens in a real Envoy: where they are found and removed, which ones a route requires, and what
//! they are bound to.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::process::Command;

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::certificates::Certificates;
use tokensmith_tests::envoy::{Envoy, Setup, typed};
use tokensmith_tests::http::Response;
use tokensmith_tests::service::run;
use tokensmith_tests::tokens::{Signer, claims, now};

const ISSUER: &str = "https://issuer.test";
const OTHER: &str = "https://other.test";

/// An issuer whose keys are `signer`'s, with `change` laid over it.
fn issuer(name: &str, signer: &Signer, change: Value) -> Value {
    let mut issuer = json!({
        "issuer": name, "audiences": ["svc"], "jwks": {"keys": [signer.jwk.to_json()]},
    });
    let change = change.as_object().unwrap().clone();
    issuer.as_object_mut().unwrap().extend(change);
    issuer
}

/// One issuer, and a route that viewers may read.
fn config(signer: &Signer, change: Value) -> Value {
    json!({
        "issuers": [issuer(ISSUER, signer, change)],
        "routes": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
        ],
    })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The code of a refusal, or the status.
fn code(response: &Response) -> String {
    if response.status == 200 {
        return "200".to_owned();
    }
    let body = response.json();
    let code = body["details"]["error"].as_str().or(body["code"].as_str());
    format!("{} {}", response.status, code.unwrap_or_default())
}

/// The values of a header that reached the backend.
fn received(response: &Response, name: &str) -> Value {
    response.json()["headers"][name].clone()
}

#[test]
fn tokens_are_found_where_the_issuer_says() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let places = json!({"from": [
        {"header": "x-token", "prefix": "Token "},
        {"header": "x-plain"},
        {"query": "access_token"},
        {"cookie": "session"},
    ]});
    let envoy = Envoy::start(&config(&signer, places), backend.port).unwrap();
    let good = signer.sign(&claims(&json!({})));
    let other = signer.sign(&claims(&json!({"sub": "bob"})));
    let expired = signer.sign(&claims(&json!({"exp": now() - 600})));
    let (with_prefix, in_query) = (
        format!("Token {good}"),
        format!("/nodes?access_token={good}"),
    );
    let in_cookie = format!("theme=dark; session={good}; last=1");
    let both = format!("/nodes?access_token={good}&access_token={other}");
    let authorization = bearer(&good);
    let twice = format!("session={good}; session={other}");
    let [prefixed, in_query, in_cookie, bearer] =
        [&with_prefix, &in_query, &in_cookie, &authorization].map(String::as_str);
    let [bare, another, old] = [&good, &other, &expired].map(String::as_str);
    let [both, twice] = [&both, &twice].map(String::as_str);
    let cases: Vec<(&str, &str, Vec<(&str, &str)>, &str)> = vec![
        ("header", "/nodes", vec![("x-token", prefixed)], "200"),
        ("plain header", "/nodes", vec![("x-plain", bare)], "200"),
        ("query", in_query, vec![], "200"),
        ("cookie", "/nodes", vec![("cookie", in_cookie)], "200"),
        ("no place", "/nodes", vec![], "401 AUTHN_REQUIRED"),
        (
            "a place that is not configured",
            "/nodes",
            vec![("authorization", bearer)],
            "401 AUTHN_REQUIRED",
        ),
        (
            "without the prefix",
            "/nodes",
            vec![("x-token", bare)],
            "401 AUTHN_REQUIRED",
        ),
        (
            "the first place with a value counts",
            in_query,
            vec![("x-plain", old)],
            "401 token_expired",
        ),
        (
            "two headers",
            "/nodes",
            vec![("x-plain", bare), ("x-plain", another)],
            "401 token_malformed",
        ),
        ("two parameters", both, vec![], "401 token_malformed"),
        (
            "two cookies",
            "/nodes",
            vec![("cookie", twice)],
            "401 token_malformed",
        ),
    ];
    for (name, target, headers, expected) in cases {
        let response = envoy.request("GET", target, &headers);
        assert_eq!(code(&response), expected, "{name}: {response:?}");
        if expected == "200" {
            let subject = received(&response, "x-tokensmith-subject");
            assert_eq!(subject, json!(["alice"]), "{name}");
        }
    }
}

#[test]
fn found_tokens_are_removed_unless_forwarded() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let places = json!([
        {"header": "authorization", "prefix": "Bearer "},
        {"query": "access_token"},
        {"cookie": "session"},
    ]);
    let start = |forward: bool| {
        let change = json!({"from": places, "forward": forward});
        Envoy::start(&config(&signer, change), backend.port).unwrap()
    };
    let (removes, forwards) = (start(false), start(true));
    let good = signer.sign(&claims(&json!({})));
    let authorization = bearer(&good);
    for (envoy, forwarded) in [(&removes, false), (&forwards, true)] {
        // The second time it is a token that was seen before.
        for _ in 0..2 {
            let headers = [("authorization", authorization.as_str())];
            let response = envoy.request("GET", "/nodes?a=1", &headers);
            assert_eq!(response.status, 200, "{response:?}");
            let arrived = received(&response, "authorization") == json!([authorization]);
            assert_eq!(arrived, forwarded, "{response:?}");

            let cookie = format!("theme=dark; session={good}; last=%20");
            let response = envoy.request("GET", "/nodes", &[("cookie", &cookie)]);
            let expected = match forwarded {
                true => cookie.as_str(),
                false => "theme=dark; last=%20",
            };
            assert_eq!(received(&response, "cookie"), json!([expected]));

            for (before, after) in [
                ("/nodes/%41?a=%2F+b&", "&c=;d"),
                ("/nodes/1?", "&c=1"),
                ("/nodes/1?a&b=&", ""),
            ] {
                let target = format!("{before}access_token={good}{after}");
                let response = envoy.request("GET", &target, &[]);
                assert_eq!(response.status, 200, "{target}: {response:?}");
                let arrived = response.json()["target"].as_str().unwrap().to_owned();
                match forwarded {
                    true => assert_eq!(arrived, target),
                    // Everything else is as the caller wrote it.
                    false => {
                        let rest = match after.strip_prefix('&') {
                            Some(after) => format!("{before}{after}"),
                            None => before.trim_end_matches('&').to_owned(),
                        };
                        assert_eq!(arrived, rest);
                    }
                }
            }
        }
    }
    let only = format!("/nodes?access_token={good}");
    let response = removes.request("GET", &only, &[]);
    assert_eq!(response.json()["target"], "/nodes");
    let only = format!("session={good}");
    let response = removes.request("GET", "/nodes", &[("cookie", &only)]);
    assert_eq!(received(&response, "cookie"), Value::Null);
}

#[test]
fn requirements_hold_by_route() {
    let (first, second) = (Signer::new(Algorithm::ES256), Signer::new(Algorithm::RS256));
    let backend = Backend::start();
    let payload = |name: &str| json!({"name": name, "pad": false});
    let route = |path: &str, object: &str, requires: Value| {
        let mut route = json!({"match": {"prefix": path}, "object": object, "action": "read"});
        if !requires.is_null() {
            route["requires"] = requires;
        }
        route
    };
    let config = json!({
        "issuers": [
            issuer(ISSUER, &first, json!({"payload_header": payload("x-first")})),
            issuer(OTHER, &second, json!({
                "from": [{"header": "x-other"}], "payload_header": payload("x-second"),
            })),
        ],
        "requires": OTHER,
        "routes": [
            route("/one", "nodes", json!(ISSUER)),
            route("/any", "nodes", json!({"any": [ISSUER, OTHER]})),
            route("/all", "nodes", json!({"all": [ISSUER, OTHER]})),
            route("/nested", "nodes", json!({"all": [OTHER, {"any": [ISSUER, "allow_missing"]}]})),
            route("/maybe", "open", json!({"any": [ISSUER, "allow_missing"]})),
            route("/lax", "open", json!({"any": [ISSUER, "allow_missing_or_failed"]})),
            route("/closed", "nodes", json!({"any": [ISSUER, "allow_missing"]})),
            route("/own", "nodes", Value::Null),
        ],
        "policy": {"rules": "p, role:viewer, nodes, read\np, role:viewer, open, read\n\
            p, anonymous, open, read\n"},
    });
    let envoy = Envoy::start(&config, backend.port).unwrap();
    let one = bearer(&first.sign(&claims(&json!({}))));
    let two = second.sign(&claims(&json!({"iss": OTHER, "sub": "bob"})));
    let old = bearer(&first.sign(&claims(&json!({"exp": now() - 600}))));
    let (one, two, old) = (one.as_str(), two.as_str(), old.as_str());
    // Path; `authorization`; `x-other`; outcome; whose the request is.
    let cases: [(&str, &str, &str, &str, &str); 20] = [
        ("/one", one, "", "200", "alice"),
        ("/one", "", two, "401 AUTHN_REQUIRED", ""),
        ("/any", one, "", "200", "alice"),
        ("/any", "", two, "200", "bob"),
        ("/any", old, two, "200", "bob"),
        ("/any", "", "", "401 AUTHN_REQUIRED", ""),
        ("/any", old, "", "401 token_expired", ""),
        ("/all", one, two, "200", "alice"),
        ("/all", one, "", "401 AUTHN_REQUIRED", ""),
        ("/all", old, two, "401 token_expired", ""),
        ("/nested", "", two, "200", "bob"),
        ("/nested", old, two, "401 token_expired", ""),
        ("/nested", one, "", "401 AUTHN_REQUIRED", ""),
        ("/maybe", "", "", "200", ""),
        ("/maybe", one, "", "200", "alice"),
        ("/maybe", old, "", "401 token_expired", ""),
        ("/lax", old, "", "200", ""),
        ("/closed", "", "", "403 AUTHZ_DENIED", ""),
        ("/own", "", two, "200", "bob"),
        ("/own", one, "", "401 AUTHN_REQUIRED", ""),
    ];
    for (path, authorization, other, expected, subject) in cases {
        let name = format!("{path} {authorization:.12} {other:.5}");
        let mut headers = vec![("x-tokensmith-subject", "root"), ("x-first", "forged")];
        if !authorization.is_empty() {
            headers.push(("authorization", authorization));
        }
        if !other.is_empty() {
            headers.push(("x-other", other));
        }
        let response = envoy.request("GET", path, &headers);
        assert_eq!(code(&response), expected, "{name}: {response:?}");
        if expected != "200" {
            continue;
        }
        let wanted = match subject {
            "" => Value::Null,
            subject => json!([subject]),
        };
        assert_eq!(
            received(&response, "x-tokensmith-subject"),
            wanted,
            "{name}"
        );
        if path == "/all" {
            for header in ["x-first", "x-second"] {
                let values = received(&response, header);
                assert_eq!(values.as_array().unwrap().len(), 1, "{header}");
                assert_ne!(values, json!(["forged"]));
            }
        } else if subject != "alice" {
            assert_eq!(received(&response, "x-first"), Value::Null, "{name}");
        }
    }
}

#[test]
fn times_subjects_and_audiences_are_checked() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let mut config = config(
        &signer,
        json!({
            "audiences": ["svc", "svc2"], "clock_skew_s": 5, "profile": "generic",
            "require": {"max_lifetime_s": 3600, "claims": ["email"]},
            "principal": {"subjects": ["user"]},
        }),
    );
    config["policy"] = json!({"rules": "p, user:alice, metadata:nodes, read\n"});
    let envoy = Envoy::start(&config, backend.port).unwrap();
    let base = json!({"email": "a@b.test"});
    for (name, change, expected) in [
        ("good", json!({}), "200"),
        ("second audience", json!({"aud": "svc2"}), "200"),
        ("no audience", json!({"aud": null}), "401 claim_missing"),
        (
            "other audience",
            json!({"aud": ["x"]}),
            "401 audience_mismatch",
        ),
        ("no exp", json!({"exp": null}), "401 claim_missing"),
        ("within the leeway", json!({"exp": now() - 1}), "200"),
        ("beyond it", json!({"exp": now() - 8}), "401 token_expired"),
        (
            "not yet",
            json!({"nbf": now() + 30}),
            "401 token_not_yet_valid",
        ),
        (
            "too long",
            json!({"exp": now() + 7200}),
            "401 lifetime_too_long",
        ),
        (
            "a claim is missing",
            json!({"email": null}),
            "401 claim_missing",
        ),
        ("other subject", json!({"sub": "bob"}), "403 AUTHZ_DENIED"),
    ] {
        let mut all = claims(&base);
        let change = change.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(change);
        all.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let token = bearer(&signer.sign(&all));
        let response = envoy.request("GET", "/nodes", &[("authorization", &token)]);
        assert_eq!(code(&response), expected, "{name}: {response:?}");
    }
}

#[test]
fn bound_tokens_need_their_client_certificate() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let certificates = Certificates::new();
    certificates.issue("alice", "ca", "alice.test", "");
    certificates.issue("bob", "ca", "bob.test", "");
    let file = |name: &str| json!({"filename": certificates.path().join(name)});
    let tls = typed(
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        json!({"common_tls_context": {
            "tls_certificates": [{
                "certificate_chain": file("server.pem"), "private_key": file("server.key"),
            }],
            "validation_context": {"trusted_ca": file("ca.pem")},
        }}),
    );
    let socket = json!({"name": "envoy.transport_sockets.tls", "typed_config": tls});
    let envoy = Setup {
        chain: json!({"transport_socket": socket}),
        ..Setup::new(&config(&signer, json!({})), backend.port)
    }
    .start()
    .unwrap();
    let bound = json!({"cnf": {"x5t#S256": certificates.thumbprint("alice")}});
    let bound = signer.sign(&claims(&bound));
    let free = signer.sign(&claims(&json!({})));
    let status = |token: &str, certificate: Option<&str>| {
        let mut curl = Command::new("curl");
        curl.current_dir(certificates.path())
            .args(["--silent", "--show-error", "--max-time", "20"])
            .args(["--cacert", "ca.pem", "--output", "/dev/null"])
            .args(["--write-out", "%{http_code}", "--header"])
            .arg(format!("authorization: {}", bearer(token)));
        if let Some(name) = certificate {
            curl.args(["--cert", &format!("{name}.pem")])
                .args(["--key", &format!("{name}.key")]);
        }
        let output = run(curl.arg(format!("https://127.0.0.1:{}/nodes", envoy.port)));
        assert!(output.status.success(), "{output:?}\n{}", envoy.log());
        String::from_utf8(output.stdout).unwrap()
    };
    // The second time it is a token that was seen before.
    for _ in 0..2 {
        assert_eq!(status(&bound, Some("alice")), "200");
        assert_eq!(status(&bound, Some("bob")), "401");
        assert_eq!(status(&bound, None), "401");
        assert_eq!(status(&free, None), "200");
    }
}

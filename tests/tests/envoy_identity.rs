//! What goes on behind the filter in a real Envoy: headers of the caller's identity, never those of
//! the caller's own making; and the routes that Envoy chooses.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, decode_base64url, encode_base64url};
use tokensmith_tests::backend::Backend;
use tokensmith_tests::envoy::{BACKEND, Envoy, Setup, answer};
use tokensmith_tests::http::Response;
use tokensmith_tests::tokens::{Signer, claims};

/// One issuer, with `change` laid over it, and a route that viewers may read.
fn config(signer: &Signer, change: Value) -> Value {
    let mut issuer = json!({
        "issuer": "https://issuer.test", "audiences": ["svc"],
        "jwks": {"keys": [signer.jwk.to_json()]},
    });
    let change = change.as_object().unwrap().clone();
    issuer.as_object_mut().unwrap().extend(change);
    json!({
        "issuers": [issuer],
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
fn the_payload_is_handed_on() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    for pad in [false, true] {
        let change = json!({"payload_header": {"name": "X-JWT-Payload", "pad": pad}});
        let envoy = Envoy::start(&config(&signer, change), backend.port).unwrap();
        // Payloads of three lengths in a row: with padding, all three forms of it.
        for subject in ["a", "ab", "abc"] {
            let sent = claims(&json!({"sub": subject, "name": "J\u{f6}rg"}));
            let token = bearer(&signer.sign(&sent));
            let headers = [("authorization", token.as_str()), ("x-jwt-payload", "e30")];
            let response = envoy.request("GET", "/nodes", &headers);
            let values = received(&response, "x-jwt-payload");
            let value = values[0].as_str().unwrap();
            assert_eq!(values.as_array().unwrap().len(), 1);
            let bare = value.trim_end_matches('=');
            let payload: Value = serde_json::from_slice(&decode_base64url(bare).unwrap()).unwrap();
            assert_eq!(payload, sent);
            assert_eq!(bare, encode_base64url(sent.to_string()));
            match pad {
                true => assert_eq!(value.len() % 4, 0, "{value}"),
                false => assert_eq!(value, bare),
            }
        }
        let response = envoy.request("GET", "/public", &[("x-jwt-payload", "e30")]);
        assert_eq!(received(&response, "x-jwt-payload"), Value::Null);
    }
}

#[test]
fn nested_claims_and_lists_become_headers() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let mut config = config(&signer, json!({}));
    config["claim_headers"] = json!([
        {"claim": "email", "header": "X-Email"},
        {"claim": ["org", "unit"], "header": "x-unit"},
        {"claim": ["org", "labels"], "header": "x-labels"},
        {"claim": "org.unit", "header": "x-dotted"},
        {"claim": "scp", "header": "x-scp"},
        {"claim": "org", "header": "x-org"},
        {"claim": "level", "header": "x-level"},
    ]);
    let envoy = Envoy::start(&config, backend.port).unwrap();
    let token = bearer(&signer.sign(&claims(&json!({
        "email": "a@b.test", "org": {"unit": "hpc\r\nx: 1", "labels": ["a", 1, true]},
        "scp": ["read", "write"], "level": 7,
    }))));
    let headers = [
        ("authorization", token.as_str()),
        ("x-unit", "forged"),
        ("x-dotted", "forged"),
        ("x-org", "forged"),
    ];
    let response = envoy.request("GET", "/nodes", &headers);
    for (name, value) in [
        ("x-email", json!(["a@b.test"])),
        ("x-unit", json!(["hpc%0D%0Ax: 1"])),
        ("x-labels", json!(["a,1,true"])),
        ("x-dotted", Value::Null),
        ("x-scp", json!(["read,write"])),
        // An object is no header.
        ("x-org", Value::Null),
        ("x-level", json!(["7"])),
    ] {
        assert_eq!(received(&response, name), value, "{name}");
    }
}

#[test]
fn scopes_come_as_text_or_list() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let change = json!({"principal": {"subjects": ["scope"]}});
    let mut config = config(&signer, change);
    config["policy"] = json!({"rules": "p, scope:nodes.read, metadata:nodes, read\n"});
    let envoy = Envoy::start(&config, backend.port).unwrap();
    for (scope, status) in [
        (json!("openid nodes.read"), 200),
        (json!(["openid", "nodes.read"]), 200),
        (json!("openid"), 403),
        (json!("nodes.reader"), 403),
    ] {
        let token = bearer(&signer.sign(&claims(&json!({"scope": scope}))));
        let response = envoy.request("GET", "/nodes", &[("authorization", &token)]);
        assert_eq!(response.status, status, "{scope}: {response:?}");
        if status == 200 {
            let scopes = received(&response, "x-tokensmith-scopes");
            assert_eq!(scopes, json!(["openid nodes.read"]), "{scope}");
        }
    }
}

#[test]
fn public_routes_and_preflights_carry_no_identity() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let mut config = config(&signer, json!({"payload_header": {"name": "x-payload"}}));
    config["claim_headers"] = json!([{"claim": "email", "header": "x-email"}]);
    config["options_public"] = json!(true);
    let envoy = Envoy::start(&config, backend.port).unwrap();
    let forged = [
        ("x-tokensmith-subject", "root"),
        ("X-TokenSmith-Roles", "admin"),
        ("x-tokensmith-scopes", "admin"),
        ("x-tokensmith-principal-type", "service"),
        ("x-email", "root@b.test"),
        ("x-payload", "e30"),
        ("x-payload", "e31"),
    ];
    let preflight = [
        ("origin", "https://ui.test"),
        ("access-control-request-method", "DELETE"),
    ];
    let both: Vec<(&str, &str)> = forged.iter().chain(&preflight).copied().collect();
    let public = envoy.request("GET", "/public", &forged);
    let asked = envoy.request("OPTIONS", "/nodes", &both);
    config["mode"] = json!("off");
    let off = Envoy::start(&config, backend.port).unwrap();
    let off = off.request("GET", "/nodes", &forged);
    for response in [&public, &asked, &off] {
        assert_eq!(response.status, 200, "{response:?}");
        for (name, _) in forged {
            let value = received(response, &name.to_ascii_lowercase());
            assert_eq!(value, Value::Null, "{name}: {response:?}");
        }
    }
    // Without `Origin` it is a request as any other.
    assert_eq!(envoy.request("OPTIONS", "/nodes", &forged).status, 401);
}

#[test]
fn routes_follow_the_headers_set() {
    let signer = Signer::new(Algorithm::ES256);
    let mut config = config(&signer, json!({}));
    config["clear_route_cache"] = json!(true);
    let mut viewers = answer("/", "viewers");
    viewers["match"]["headers"] =
        json!([{"name": "x-tokensmith-roles", "string_match": {"exact": "viewer"}}]);
    let envoy = Setup {
        routes: vec![viewers, answer("/", "others")],
        ..Setup::answering(&config)
    }
    .start()
    .unwrap();
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let response = envoy.request("GET", "/nodes", &[("authorization", &token)]);
    assert_eq!(response.body, "viewers");
    // What a caller claims to be does not choose the route.
    let forged = [("x-tokensmith-roles", "viewer")];
    assert_eq!(envoy.request("GET", "/public", &forged).body, "others");
}

#[test]
fn route_metadata_overrides_a_route() {
    let signer = Signer::new(Algorithm::ES256);
    let backend = Backend::start();
    let mut config = config(&signer, json!({}));
    config["route_overrides"] = json!(true);
    let route = |prefix: &str, own: Option<Value>| {
        let mut route = json!({"match": {"prefix": prefix}, "route": {"cluster": BACKEND}});
        if let Some(text) = own {
            let text = text
                .as_str()
                .map_or_else(|| text.to_string(), str::to_owned);
            route["metadata"] = json!({"filter_metadata": {"tokensmith": {"override": text}}});
        }
        route
    };
    let mut setup = Setup {
        routes: vec![
            route("/nodes/open", Some(json!({"public": true}))),
            route("/nodes/strict", Some(json!({"action": "delete"}))),
            route(
                "/nodes/watched",
                Some(json!({"action": "delete", "mode": "shadow"})),
            ),
            route(
                "/public/closed",
                Some(json!({"object": "metadata:nodes", "action": "read"})),
            ),
            route(
                "/public/other",
                Some(json!({"requires": "https://other.test"})),
            ),
            route(
                "/nodes/wrong",
                Some(json!({"requires": "https://nobody.test"})),
            ),
            route("/nodes/broken", Some(json!("{no JSON"))),
            route("/", None),
        ],
        ..Setup::new(&config, backend.port)
    };
    let envoy = setup.start().unwrap();
    let token = bearer(&signer.sign(&claims(&json!({}))));
    let known = [("authorization", token.as_str())];
    // Twice: an override is read once for all requests.
    for _ in 0..2 {
        for (target, anonymous, viewer) in [
            ("/nodes/open", "200", "200"),
            ("/nodes/strict", "401 AUTHN_REQUIRED", "403 AUTHZ_DENIED"),
            ("/nodes/watched", "401 AUTHN_REQUIRED", "200"),
            ("/public/closed", "401 AUTHN_REQUIRED", "200"),
            ("/nodes/1", "401 AUTHN_REQUIRED", "200"),
            ("/public/1", "200", "200"),
            (
                "/nodes/wrong",
                "500 AUTHZ_MISCONFIGURED",
                "500 AUTHZ_MISCONFIGURED",
            ),
            (
                "/nodes/broken",
                "500 AUTHZ_MISCONFIGURED",
                "500 AUTHZ_MISCONFIGURED",
            ),
        ] {
            let response = envoy.request("GET", target, &[]);
            assert_eq!(code(&response), anonymous, "{target}: {response:?}");
            let response = envoy.request("GET", target, &known);
            assert_eq!(code(&response), viewer, "{target}: {response:?}");
        }
    }
    // Envoy may have chosen the route by a header that the caller brought.
    let forged = [known[0], ("x-tokensmith-roles", "admin")];
    assert_eq!(envoy.request("GET", "/nodes/open", &forged).status, 400);
    // An issuer that is not configured is no reason to let the request through.
    assert_eq!(envoy.request("GET", "/public/other", &known).status, 500);

    config["route_overrides"] = json!(false);
    setup.filters = Setup::new(&config, backend.port).filters;
    let plain = setup.start().unwrap();
    assert_eq!(plain.request("GET", "/nodes/open", &[]).status, 401);
    assert_eq!(plain.request("GET", "/nodes/broken", &known).status, 200);
}

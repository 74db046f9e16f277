//! What the configuration changes about a decision: actions, preflights, records and denials.
#![cfg(feature = "aws-lc")]
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::{Value, json};
use tokensmith_engine::decide::{Config, ConfigError, Decider, Memory, Outcome, Request};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::{KeyRing, aws_lc::AwsLc};

const TOKENS: &str = include_str!("../../tests/vectors/authn.json");

struct Fixture {
    decider: Decider,
    ring: KeyRing,
    authorization: String,
}

impl Fixture {
    /// With `change` laid over a configuration whose callers are viewers and operators.
    fn new(change: Value) -> Self {
        let tokens: Value = serde_json::from_str(TOKENS).unwrap();
        let document = tokens["jwks"].to_string();
        let set = JwkSet::parse(document.as_bytes(), &Limits::default()).unwrap();
        let mut cases = tokens["cases"].as_array().unwrap().iter();
        let valid = cases.find(|case| case["name"] == "alg-ok-ES256").unwrap();
        Self {
            decider: decider(&change).unwrap(),
            ring: KeyRing::new([("iss", &set)], &AwsLc),
            authorization: valid["authorization"][0].as_str().unwrap().to_owned(),
        }
    }

    fn decide<'r>(&self, request: &Request<'r>) -> Outcome<'r> {
        *self
            .decider
            .decide(request, &self.ring, &mut Memory::new(0, [0; 16]), 150)
    }

    fn ask(&self, method: &str, target: &str) -> Outcome<'static> {
        let outcome = self.decide(&Request {
            method,
            target,
            authorization: Some(&self.authorization),
            ..Request::default()
        });
        outcome.into_owned()
    }
}

fn decider(change: &Value) -> Result<Decider, ConfigError> {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let mut config = json!({
        "issuers": [{
            "issuer": "iss", "audiences": ["svc"], "jwks": tokens["jwks"],
            "principal": {
                "roles": [], "groups": "auth_level",
                "group_roles": {"IAL2": ["viewer", "operator"]},
            },
        }],
    });
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    Config::from_json(config.to_string().as_bytes())
        .and_then(|config| Decider::new(&config, Limits::default(), AwsLc))
}

fn body(outcome: &Outcome<'_>) -> Value {
    serde_json::from_slice(&outcome.denial.as_ref().unwrap().body).unwrap()
}

#[test]
fn actions_of_unmapped_requests() {
    let plain = Fixture::new(json!({"mode": "shadow", "default_route": "path_rest"}));
    let named = Fixture::new(json!({
        "mode": "shadow", "default_route": "path_rest",
        "action_names": {"POST": "create", "PUT": "update", "PURGE": "delete"},
    }));
    let literal = Fixture::new(json!({"mode": "shadow", "default_route": "path_method"}));
    let cases = [
        ("GET", "read", "read"),
        ("HEAD", "read", "read"),
        ("POST", "write", "create"),
        ("PUT", "write", "update"),
        ("PATCH", "write", "write"),
        ("DELETE", "delete", "delete"),
        ("OPTIONS", "OPTIONS", "OPTIONS"),
        ("PURGE", "PURGE", "delete"),
        ("get", "get", "get"),
    ];
    for (method, rest, own) in cases {
        for (fixture, action) in [(&plain, rest), (&named, own), (&literal, method)] {
            let record = fixture.ask(method, "/a%20b/?q=1").record;
            assert_eq!((&*record.object, &*record.action), ("/a b", action));
        }
    }
}

#[test]
fn action_names_that_do_nothing_are_refused() {
    let names = |route: &str, names: Value| {
        let change = json!({"default_route": route, "action_names": names});
        decider(&change)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(names("path_rest", json!({"POST": "create"})), Ok(()));
    assert_eq!(names("deny", json!({})), Ok(()));
    for (route, given) in [
        ("deny", json!({"POST": "create"})),
        ("path_method", json!({"POST": "create"})),
        ("path_rest", json!({"": "create"})),
        ("path_rest", json!({"PO ST": "create"})),
        ("path_rest", json!({"POST": " "})),
    ] {
        let error = names(route, given).unwrap_err();
        assert!(error.contains("`action_names`"), "{error}");
    }
}

#[test]
fn preflights_need_no_token_where_the_configuration_says_so() {
    let open = Fixture::new(json!({"options_public": true}));
    let closed = Fixture::new(json!({}));
    assert!(open.decider.reads_preflight() && !closed.decider.reads_preflight());
    let preflight = Request {
        method: "OPTIONS",
        target: "/nodes",
        origin: Some("https://ui.example"),
        access_control_request_method: Some("DELETE"),
        ..Request::default()
    };
    let outcome = open.decide(&preflight);
    assert!(outcome.is_allowed() && outcome.identity.is_none());
    assert!(
        outcome
            .strip
            .iter()
            .any(|name| name == "x-tokensmith-subject")
    );
    assert_eq!(closed.decide(&preflight).denial.unwrap().status, 401);
    let others = [
        Request {
            origin: None,
            ..preflight
        },
        Request {
            origin: Some(""),
            ..preflight
        },
        Request {
            access_control_request_method: None,
            ..preflight
        },
        Request {
            access_control_request_method: Some(""),
            ..preflight
        },
        Request {
            method: "GET",
            ..preflight
        },
        Request {
            method: "options",
            ..preflight
        },
    ];
    for request in others {
        assert_eq!(
            open.decide(&request).denial.unwrap().status,
            401,
            "{request:?}"
        );
    }
    let request = Request {
        target: "/a/../b",
        ..preflight
    };
    assert_eq!(open.decide(&request).denial.unwrap().status, 400);
}

#[test]
fn denials_of_head_have_no_body() {
    let fixture = Fixture::new(json!({}));
    for (target, authorization, status) in [
        ("/nodes", Some(fixture.authorization.as_str()), 403),
        ("/nodes", None, 401),
        ("/a/../b", None, 400),
    ] {
        let request = Request {
            method: "GET",
            target,
            authorization,
            ..Request::default()
        };
        let get = fixture.decide(&request).denial.unwrap();
        let head = fixture
            .decide(&Request {
                method: "HEAD",
                ..request
            })
            .denial
            .unwrap();
        assert_eq!((head.status, &head.headers), (status, &get.headers));
        assert_eq!(get.status, status);
        assert!(head.body.is_empty() && !get.body.is_empty());
    }
}

#[test]
fn denials_can_keep_the_roles_to_themselves() {
    let told = Fixture::new(json!({})).ask("GET", "/nodes");
    assert_eq!(
        body(&told)["principal"]["roles"],
        json!(["viewer", "operator"])
    );
    let untold = Fixture::new(json!({"deny_roles": false})).ask("GET", "/nodes");
    assert_eq!(
        body(&untold)["principal"],
        json!({"id": "u1", "type": "service"})
    );
}

#[test]
fn line_separators_are_escaped_in_denials() {
    let fixture = Fixture::new(json!({"default_route": "path_method"}));
    let outcome = fixture.ask("GET", "/a%E2%80%A8b%E2%80%A9<");
    let text = String::from_utf8(outcome.denial.as_ref().unwrap().body.clone()).unwrap();
    assert!(text.contains(r#""object":"/a\u2028b\u2029<""#), "{text}");
    assert_eq!(body(&outcome)["input"]["object"], "/a\u{2028}b\u{2029}<");
}

#[test]
fn records_say_what_was_decided_by() {
    let routes = json!([
        {"match": {"exact": "/nodes", "methods": ["GET"]}, "object": "metadata:nodes", "action": "read"},
        {"match": {"exact": "/nodes", "methods": ["PUT"]}, "object": "metadata:nodes", "action": "update"},
        {"match": {"exact": "/nodes", "methods": ["DELETE"]}, "object": "metadata:nodes", "action": "delete"},
        {"match": {"exact": "/public"}, "public": true},
    ]);
    let plain = Fixture::new(json!({"routes": routes}));
    let telling = Fixture::new(json!({"routes": routes, "record_roles": true}));
    let cases: [(&str, &[&str]); 3] = [
        ("GET", &["role:viewer", "role:operator"]),
        ("PUT", &["role:operator"]),
        ("DELETE", &[]),
    ];
    for (method, matched) in cases {
        let record = plain.ask(method, "/nodes").record;
        let found: Vec<&str> = record.matched_roles.iter().map(AsRef::as_ref).collect();
        assert_eq!(found, matched, "{method}");
        assert_eq!((record.roles_count, record.roles.len()), (2, 0));
        assert_eq!(
            telling.ask(method, "/nodes").record.roles,
            ["viewer", "operator"]
        );
    }
    let unknown = telling.decide(&Request {
        method: "GET",
        target: "/nodes",
        ..Request::default()
    });
    assert_eq!(
        (unknown.record.roles_count, unknown.record.roles.len()),
        (0, 0)
    );
    let text = serde_json::to_string(&telling.ask("PUT", "/nodes").record).unwrap();
    let start = concat!(
        r#"{"principal_id":"u1","principal_type":"service","roles":["viewer","operator"],"#,
        r#""roles_count":2,"matched_roles":["role:operator"],"matched_rules":["<baseline rules>:40"],"object":"metadata:nodes","#,
        r#""action":"update","decision":"allow","reason":"","mode":"enforce","policy_version":""#,
    );
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn captured_segments_are_decided_on() {
    let fixture = Fixture::new(json!({
        "routes": [{
            "match": {"pattern": "/nodes/{id}/:verb"}, "object": "node:{id}", "action": "{verb}",
        }],
        "policy": {"rules": "p, role:viewer, node:x 1, boot"},
    }));
    assert!(fixture.ask("GET", "/nodes/x%201/boot?q=1").is_allowed());
    let outcome = fixture.ask("GET", "/nodes/x2/boot/");
    assert_eq!(
        body(&outcome)["input"],
        json!({"object": "node:x2", "action": "boot"})
    );
    assert_eq!(
        body(&fixture.ask("GET", "/nodes/x2"))["code"],
        "AUTHZ_UNMAPPED"
    );
}

#[test]
fn hosts_are_those_the_caller_addressed() {
    let fixture = Fixture::new(json!({"routes": [
        {"match": {"prefix": "/", "host": "open.example.org"}, "public": true},
        {"match": {"prefix": "/"}, "object": "metadata:nodes", "action": "read"},
    ]}));
    assert!(fixture.decider.reads_authority());
    assert!(!Fixture::new(json!({})).decider.reads_authority());
    for (authority, is_public) in [
        ("open.example.org", true),
        ("OPEN.example.org:8443", true),
        ("other.example.org", false),
        ("", false),
    ] {
        let request = Request {
            method: "GET",
            target: "/a",
            authority,
            ..Request::default()
        };
        assert_eq!(
            fixture.decide(&request).is_allowed(),
            is_public,
            "{authority}"
        );
    }
}

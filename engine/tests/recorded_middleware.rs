//! Recorded requests to the middleware this engine replaces, with every difference named and
//! reasoned.
#![cfg(feature = "aws-lc")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::decide::{
    Config, ConfigError, Decider, Memory, Outcome, PathError, Request, normalise_path,
};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::{KeyRing, aws_lc::AwsLc};

const TOKENS: &str = include_str!("../../tests/vectors/authn.json");
const REQUESTS: &str = include_str!("../../tests/vectors/middleware.json");
const PATHS: &str = include_str!("../../tests/vectors/paths.json");

/// Requests that this engine answers or records differently, and why. For all of them: denials
/// and records say whether the principal is a user or a service; records name the subjects that
/// policy allowed and the code of a refused token; denials are not to be stored, and challenge
/// where a token would help.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "encoded slash",
        "whether `%2F` separates segments depends on the server behind; there are no domains",
    ),
    (
        "no roles",
        "nothing is wrong with the engine when a principal has no roles: record and answer agree",
    ),
    (
        "no token, not demanded",
        "a token is always demanded, but on public routes",
    ),
    ("no token", "the record has the request's method and path"),
    (
        "no token, shadow",
        "the record has the request's method and path",
    ),
    (
        "unmapped, let through",
        "unmapped requests are let through in shadow mode only: a route says what is public",
    ),
    (
        "unmapped, shadow",
        "the record says what `enforce` would do",
    ),
    (
        "malformed path",
        "paths come first: a caller with a malformed one is not identified",
    ),
    (
        "malformed path, shadow",
        "paths come first: a caller with a malformed one is not identified",
    ),
    (
        "policy that cannot decide",
        "a policy of the wrong shape is refused when it is loaded",
    ),
    (
        "policy that cannot decide, shadow",
        "a policy of the wrong shape is refused when it is loaded",
    ),
    (
        "mode in capitals",
        "a mode that does not exist is refused when it is loaded; it let unmapped requests through",
    ),
    (
        "empty mode",
        "a mode that does not exist is refused when it is loaded; it let unmapped requests through",
    ),
    (
        "unknown mode",
        "a mode that does not exist is refused when it is loaded",
    ),
    (
        "public, a longer segment",
        "prefixes are of whole segments: `/public` is not `/publicfoo`",
    ),
    (
        "public, up and away",
        "a path that leaves the public prefix is not public",
    ),
    (
        "public, up and away encoded",
        "a path that leaves the public prefix is not public",
    ),
    (
        "public, two slashes",
        "empty segments are dropped by some servers and not by others",
    ),
    (
        "blank roles",
        "nothing is wrong with the engine when a principal has no roles: record and answer agree",
    ),
];

/// Targets that this engine refuses, and why: how, the reason, the targets.
const REFUSED: &[(PathError, &str, &[&str])] = &[
    (
        PathError::Ambiguous,
        "an encoded `/` separates segments for some servers and not for others",
        &[
            "/%2F",
            "/%2f",
            "/a%2Fb",
            "/%2F..",
            "/a/%2F/b",
            "/a/%2f../b",
            "/a%2Fb/c",
            "/a%2fb",
            "/%2F%2Fx",
        ],
    ),
    (
        PathError::Ambiguous,
        "an encoded `%` is decoded twice by some",
        &["/a%252Fb", "/a%2525"],
    ),
    (
        PathError::Ambiguous,
        "dot segments are resolved by some, and the path matched before or after",
        &["/a/../b", "/..", "/../..", "/a/./b", "/public/../protected"],
    ),
    (
        PathError::Ambiguous,
        "encoded dots are dot segments to some",
        &[
            "/%2e%2e/x",
            "/a/%2E%2e/b",
            "/a/%2e%2e/b",
            "/public/%2e%2e/protected",
        ],
    ),
    (
        PathError::Ambiguous,
        "empty segments are dropped by some, and `//` starts an authority for others",
        &["//", "/a//b/", "//evil/x", "/a//b"],
    ),
    (
        PathError::Ambiguous,
        "`\\` is `/` to some",
        &["/a%5cb", "/a%5Cb"],
    ),
    (
        PathError::Ambiguous,
        "control characters end or break what some make of the path",
        &["/%00", "/a%00b"],
    ),
    (
        PathError::Ambiguous,
        "an encoded `?` or `#` ends the path where it is decoded and parsed again",
        &["/a%3Fb", "/a%23b"],
    ),
    (
        PathError::Ambiguous,
        "what follows `;` is a parameter to some and left out of the path",
        &["/a;b=c", "/!$&'()*+,;=:@"],
    ),
    (
        PathError::Malformed,
        "bytes that are not UTF-8 are replaced by some",
        &["/%C3%28"],
    ),
    (
        PathError::Malformed,
        "targets are in origin form: a path that starts with `/`",
        &["", "a/b", "..", "*", "http://h/abs/p"],
    ),
];

struct Recordings {
    document: Value,
    jwks: Value,
    ring: KeyRing,
    authorization: String,
}

impl Recordings {
    fn new() -> Self {
        let tokens: Value = serde_json::from_str(TOKENS).unwrap();
        let jwks = tokens["jwks"].clone();
        let set = JwkSet::parse(jwks.to_string().as_bytes(), &Limits::default()).unwrap();
        let mut cases = tokens["cases"].as_array().unwrap().iter();
        let valid = cases.find(|case| case["name"] == "alg-ok-ES256").unwrap();
        Self {
            document: serde_json::from_str(REQUESTS).unwrap(),
            jwks,
            ring: KeyRing::new([("iss", &set)], &AwsLc),
            authorization: valid["authorization"][0].as_str().unwrap().to_owned(),
        }
    }

    fn cases(&self) -> &[Value] {
        self.document["cases"].as_array().unwrap()
    }

    fn case(&self, name: &str) -> &Value {
        let mut cases = self.cases().iter();
        cases.find(|case| case["name"] == name).unwrap()
    }

    /// The token's level of authentication stands for the case's roles.
    fn decider(&self, case: &Value) -> Result<Decider, ConfigError> {
        let roles = case["roles"].as_array().cloned().unwrap_or_default();
        let principal = match &case["principal"] {
            Value::Null => {
                json!({"roles": [], "groups": "auth_level", "group_roles": {"IAL2": roles}})
            }
            own => own.clone(),
        };
        let mut config = self.document["config"].clone();
        config["issuers"] = json!([{
            "issuer": "iss", "audiences": ["svc"], "jwks": self.jwks, "principal": principal,
        }]);
        for (name, value) in case["config"].as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        Config::from_json(config.to_string().as_bytes())
            .and_then(|config| Decider::new(&config, Limits::default(), AwsLc))
    }

    fn decide<'r>(&'r self, decider: &Decider, case: &'r Value) -> Outcome<'r> {
        let request = Request {
            method: case["method"].as_str().unwrap(),
            target: case["target"].as_str().unwrap(),
            authorization: case["roles"]
                .is_array()
                .then_some(self.authorization.as_str()),
            request_id: case["request_id"].as_str(),
            ..Request::default()
        };
        *decider.decide(&request, &self.ring, &mut Memory::new(0, [0; 16]), 150)
    }
}

/// The outcome in the form of the recordings.
fn observed(outcome: &Outcome<'_>) -> Value {
    let status = outcome.denial.as_ref().map_or(200, |denial| denial.status);
    let denial = outcome.denial.as_ref();
    let mut answer: Value = denial
        .filter(|denial| !denial.body.is_empty())
        .map_or(Value::Null, |denial| {
            serde_json::from_slice(&denial.body).unwrap()
        });
    if let Some(members) = answer.as_object_mut() {
        members.remove("schema");
        members.remove("policy_version");
        members["principal"].as_object_mut().unwrap().remove("type");
    }
    let mut record = serde_json::to_value(&outcome.record).unwrap();
    let members = record.as_object_mut().unwrap();
    for name in [
        "principal_type",
        "matched_roles",
        "matched_rules",
        "error",
        "policy_version",
        "issuer",
    ] {
        members.remove(name);
    }
    json!({"status": status, "answer": answer, "record": record})
}

#[test]
fn requests() {
    let recordings = Recordings::new();
    let mut differences = 0;
    for case in recordings.cases() {
        let name = case["name"].as_str().unwrap();
        let is_named = DIFFERENCES.iter().any(|(own, _)| *own == name);
        assert_eq!(is_named, case["here"].is_object(), "{name}");
        differences += usize::from(is_named);
        let decider = recordings.decider(case);
        if let Some(message) = case["here"]["refused"].as_str() {
            let error = decider.map(drop).unwrap_err().to_string();
            assert!(error.contains(message), "{name}: {error}");
            continue;
        }
        let mut expected = case["upstream"].clone();
        for (part, value) in case["here"].as_object().into_iter().flatten() {
            assert_ne!(&expected[part], value, "{name}: {part} does not differ");
            expected[part] = value.clone();
        }
        let mut found = observed(&recordings.decide(&decider.unwrap(), case));
        if expected["record"].is_null() {
            // Its hook is not called for requests that nothing is decided on.
            found["record"] = Value::Null;
        }
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(differences, DIFFERENCES.len());
}

#[test]
fn paths() {
    let vectors: Value = serde_json::from_str(PATHS).unwrap();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let target = case["target"].as_str().unwrap();
        let found = normalise_path(target);
        let refusal = REFUSED
            .iter()
            .find(|(_, _, targets)| targets.contains(&target));
        let expected = match (refusal, case["upstream"].as_str()) {
            (Some((error, _, _)), Some(_)) => Err(*error),
            (None, Some(path)) => Ok(path.to_owned()),
            (None, None) => Err(PathError::Malformed),
            (Some(_), None) => panic!("`{target}` is no difference"),
        };
        refused += usize::from(refusal.is_some());
        if found != expected {
            wrong.push(format!("`{target}`: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named: usize = REFUSED.iter().map(|(_, _, targets)| targets.len()).sum();
    assert_eq!(refused, named);
}

#[test]
fn the_order_of_members_is_kept() {
    let recordings = Recordings::new();
    let case = recordings.case("denied");
    let decider = recordings.decider(case).unwrap();
    let outcome = recordings.decide(&decider, case);
    let version = decider.policy_version();
    let body = format!(
        concat!(
            r#"{{"schema_version":"authz.deny.v1","schema":"authz.deny.v1","code":"AUTHZ_DENIED","#,
            r#""message":"access denied","decision":"deny","reason":"policy_denied","#,
            r#""mode":"enforce","principal":{{"id":"u1","type":"service","roles":["viewer"]}},"#,
            r#""input":{{"object":"metadata:nodes","action":"delete"}},"policy_version":"{}","#,
            r#""request":{{"method":"DELETE","path":"/v1/nodes/1"}},"request_id":"req-1"}}"#,
            "\n"
        ),
        version
    );
    let denial = outcome.denial.as_ref().unwrap();
    assert_eq!(String::from_utf8(denial.body.clone()).unwrap(), body);
    let record = format!(
        concat!(
            r#"{{"principal_id":"u1","principal_type":"service","roles_count":1,"#,
            r#""object":"metadata:nodes","action":"delete","decision":"deny","#,
            r#""reason":"policy_denied","mode":"enforce","policy_version":"{}","#,
            r#""method":"DELETE","path":"/v1/nodes/1","request_id":"req-1","issuer":"iss"}}"#
        ),
        version
    );
    assert_eq!(serde_json::to_string(&outcome.record).unwrap(), record);
}

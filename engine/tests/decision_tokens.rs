//! Where tokens come in, which of them a request needs, and what of them is handed on.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod deciding;

use deciding::{Deciding, forged, issuer, said, token};
use serde_json::{Value, json};
use tokensmith_engine::decide::{Config, Outcome, Request};
use tokensmith_engine::verify::KeyRing;

/// Changes of headers.
type Edits = Vec<(String, Option<String>)>;

fn edits(outcome: &Outcome<'_>) -> Edits {
    let edits = outcome.header_edits();
    edits
        .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
        .collect()
}

#[test]
fn the_first_place_with_a_value_counts() {
    let own = Deciding::new(&json!({"issuers": [issuer("a", &json!({"from": [
        {"header": "X-Token", "prefix": "Token "}, {"query": "access_token"}, {"cookie": "session"},
    ]}))]}));
    assert_eq!(own.decider.reads_headers(), ["x-token", "cookie"]);
    let good = token("a", &json!({}));
    let (bad, bearer) = (forged(&good), format!("Bearer {good}"));
    let (header, bad_header) = (format!("Token {good}"), format!("Token {bad}"));
    let (cookie, bad_cookie) = (format!("a=b; session={good}"), format!("session={bad}"));
    let query = format!("/nodes?access_token={good}&x=1");
    let bad_query = format!("/nodes?access_token={bad}");
    let empty_query = "/nodes?access_token=";
    let two = format!("/nodes?access_token={good}&access%5Ftoken={good}");
    let none = "401 AUTHN_REQUIRED";
    let invalid = "401 signature_invalid";
    let malformed = "401 token_malformed";
    let pass = "pass a-user";
    let cases: [(&str, Vec<(&str, &str)>, &str); 13] = [
        ("/nodes", vec![], none),
        ("/nodes", vec![("authorization", &bearer)], none),
        ("/nodes", vec![("x-token", &header)], pass),
        ("/nodes", vec![("x-token", &good)], none),
        (&query, vec![], pass),
        ("/nodes", vec![("cookie", &cookie)], pass),
        (&bad_query, vec![("x-token", &header)], pass),
        (&query, vec![("x-token", &bad_header)], invalid),
        (&bad_query, vec![("cookie", &cookie)], invalid),
        (empty_query, vec![("cookie", &cookie)], pass),
        (&two, vec![], malformed),
        (
            "/nodes",
            vec![("x-token", &header), ("x-token", &header)],
            malformed,
        ),
        (
            "/nodes",
            vec![("cookie", &cookie), ("cookie", &bad_cookie)],
            malformed,
        ),
    ];
    for (target, headers, expected) in cases {
        let outcome = own.ask_for(target, &headers);
        assert_eq!(said(&outcome), expected, "{target} {headers:?}");
        assert!(outcome.target.is_none() && outcome.token_headers.is_empty());
    }
    // The good token was checked once, the bad one is remembered too.
    assert_eq!(own.checks.get(), 2);
}

#[test]
fn a_token_is_good_only_in_its_issuers_place() {
    let own = Deciding::new(&json!({"issuers": [
        issuer("a", &json!({})),
        issuer("b", &json!({"from": [{"header": "x-b"}, {"header": "authorization"}]})),
    ]}));
    let bearer = |name: &str| format!("Bearer {}", token(name, &json!({})));
    let (a, b, c) = (bearer("a"), bearer("b"), bearer("c"));
    let (plain_a, plain_b) = (token("a", &json!({})), token("b", &json!({})));
    let cases: [(Vec<(&str, &str)>, &str); 7] = [
        (vec![("authorization", &a)], "pass a-user"),
        (vec![("authorization", &b)], "pass b-user"),
        (vec![("authorization", &c)], "401 issuer_refused"),
        (vec![("x-b", &plain_b)], "pass b-user"),
        (vec![("x-b", &plain_a)], "401 issuer_refused"),
        (
            vec![("authorization", &a), ("x-b", &plain_a)],
            "pass a-user",
        ),
        // The place of `b` is taken, so that the other is no place of its tokens.
        (
            vec![("authorization", &b), ("x-b", "none")],
            "401 issuer_refused",
        ),
    ];
    for (headers, expected) in cases {
        // Once as a new token, once as one that is known.
        for _ in 0..2 {
            assert_eq!(said(&own.ask(&headers)), expected, "{headers:?}");
        }
    }
}

#[test]
fn tokens_are_cut_out_where_they_are_not_forwarded() {
    let own = Deciding::new(&json!({"issuers": [
        issuer("a", &json!({"forward": false, "from": [
            {"header": "authorization"}, {"header": "x-a"}, {"query": "t"}, {"cookie": "c"},
        ]})),
        issuer("b", &json!({"from": [{"header": "authorization"}, {"cookie": "d"}]})),
    ], "requires": {"any": ["a", "b", "allow_missing_or_failed"]}, "mode": "shadow"}));
    let (a, b) = (token("a", &json!({})), token("b", &json!({})));
    let (bearer_a, bearer_b) = (format!("Bearer {a}"), format!("Bearer {b}"));
    let target = format!("/nodes?x=%20&t={a}&y#z");
    let cookies = format!("x=1; c={a};d={b}");
    let removed = |name: &str| vec![(name.to_owned(), None)];
    let cookie = |rest: &str| vec![("cookie".to_owned(), Some(rest.to_owned()))];
    let bad_cookie = format!("c={}", forged(&a));
    let cases: [(&str, Vec<(&str, &str)>, Option<&str>, Edits); 8] = [
        (
            "/nodes",
            vec![("authorization", &bearer_a)],
            None,
            removed("authorization"),
        ),
        ("/nodes", vec![("authorization", &bearer_b)], None, vec![]),
        // Whose it would have been nobody knows.
        (
            "/nodes",
            vec![("authorization", "Bearer x.y.z")],
            None,
            removed("authorization"),
        ),
        ("/nodes", vec![("x-a", &a)], None, removed("x-a")),
        (&target, vec![], Some("/nodes?x=%20&y#z"), vec![]),
        (
            "/nodes",
            vec![("cookie", &cookies)],
            None,
            cookie(&format!("x=1; d={b}")),
        ),
        (
            "/nodes",
            vec![("cookie", &bad_cookie)],
            None,
            removed("cookie"),
        ),
        ("/public", vec![("x-a", &a)], None, vec![]),
    ];
    for (target, headers, rest, cut) in cases {
        let outcome = own.ask_for(target, &headers);
        assert!(outcome.is_allowed(), "{target} {headers:?}");
        assert_eq!(outcome.target.as_deref(), rest, "{target}");
        assert_eq!(outcome.token_headers, cut, "{headers:?}");
        let all = edits(&outcome);
        assert!(cut.iter().all(|edit| all.contains(edit)), "{all:?}");
    }
}

#[test]
fn requirements() {
    let from = |name: &str| json!({"from": [{"header": name}]});
    let own = |requires: Value| {
        Deciding::new(&json!({
            "issuers": [
                issuer("a", &from("x-a")), issuer("b", &from("x-b")), issuer("c", &from("x-c")),
            ],
            "requires": requires,
            "policy": {"rules": "p, role:viewer, metadata:nodes, read\np, anonymous, metadata:nodes, read"},
        }))
    };
    let good = |name: &str| token(name, &json!({}));
    let (a, b, c) = (good("a"), good("b"), good("c"));
    let (bad_a, bad_b) = (forged(&a), forged(&b));
    let both = json!({"all": ["b", "a"]});
    let either = json!({"any": ["a", "b"]});
    let lenient = json!({"any": ["a", "allow_missing"]});
    let cases: [(&Value, Vec<(&str, &str)>, &str, usize); 17] = [
        (&json!("b"), vec![("x-a", &a)], "401 AUTHN_REQUIRED", 0),
        (&json!("b"), vec![("x-b", &b)], "pass b-user", 1),
        (&json!("b"), vec![("x-b", &a)], "401 issuer_refused", 1),
        (&either, vec![("x-a", &a), ("x-b", &b)], "pass a-user", 1),
        (
            &either,
            vec![("x-a", &bad_a), ("x-b", &b)],
            "pass b-user",
            2,
        ),
        (
            &either,
            vec![("x-a", &bad_a), ("x-b", &bad_b)],
            "401 signature_invalid",
            2,
        ),
        (&either, vec![("x-c", &c)], "401 AUTHN_REQUIRED", 0),
        (&both, vec![("x-a", &a), ("x-b", &b)], "pass b-user", 2),
        (&both, vec![("x-a", &a)], "401 AUTHN_REQUIRED", 0),
        (
            &both,
            vec![("x-a", &bad_a), ("x-b", &b)],
            "401 signature_invalid",
            2,
        ),
        (&lenient, vec![], "pass ", 0),
        (&lenient, vec![("x-b", &bad_b)], "pass ", 0),
        (&lenient, vec![("x-a", &bad_a)], "401 signature_invalid", 1),
        (&lenient, vec![("x-a", &a)], "pass a-user", 1),
        (
            &json!("allow_missing"),
            vec![("x-b", &bad_b)],
            "401 signature_invalid",
            1,
        ),
        (
            &json!("allow_missing_or_failed"),
            vec![("x-b", &bad_b)],
            "pass ",
            1,
        ),
        (
            &json!("allow_missing_or_failed"),
            vec![("x-b", &bad_b), ("x-c", &c)],
            "pass c-user",
            2,
        ),
    ];
    for (requires, headers, expected, checks) in cases {
        let own = own(requires.clone());
        let outcome = own.ask(&headers);
        assert_eq!(said(&outcome), expected, "{requires} {headers:?}");
        assert_eq!(own.checks.get(), checks, "{requires} {headers:?}");
        let again = own.ask(&headers);
        assert_eq!(said(&again), expected, "{requires} {headers:?}");
        assert_eq!(own.checks.get(), checks, "verdicts are remembered");
    }
}

#[test]
fn callers_without_a_token_are_anonymous_to_policy() {
    let own = |rules: &str, change: Value| {
        let mut config = json!({"requires": "allow_missing", "policy": {"rules": rules}});
        for (name, value) in change.as_object().unwrap() {
            config[name] = value.clone();
        }
        Deciding::new(&config)
    };
    let refused = own("p, role:viewer, metadata:nodes, read", json!({})).ask(&[]);
    assert_eq!(said(&refused), "403 AUTHZ_DENIED");
    assert_eq!(
        (&*refused.record.principal_id, refused.record.principal_type),
        ("", None)
    );
    let rules = "p, role:guest, metadata:nodes, read\ng, anonymous, role:guest";
    let passed = own(rules, json!({})).ask(&[]);
    assert_eq!(said(&passed), "pass ");
    assert!(passed.identity.is_none() && passed.record.issuer.is_none());
    assert_eq!(
        passed
            .record
            .matched_roles
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>(),
        ["anonymous"]
    );
    assert!(edits(&passed).iter().all(|(_, value)| value.is_none()));
    let unmapped = own(rules, json!({})).ask_for("/other", &[]);
    assert_eq!(said(&unmapped), "403 AUTHZ_UNMAPPED");
    assert!(own("", json!({"mode": "shadow"})).ask(&[]).is_allowed());
}

#[test]
fn missing_keys_are_wanted_whatever_the_end_is() {
    let from = json!({"from": [{"header": "x-b"}]});
    let issuers = json!([issuer("a", &json!({})), issuer("b", &from)]);
    let bearer = format!("Bearer {}", token("a", &json!({})));
    let b = token("b", &json!({}));
    let without_keys_of_b = |requires: Value| {
        let mut own = Deciding::new(&json!({"issuers": issuers, "requires": requires}));
        own.ring.remove("b");
        own
    };
    let own = without_keys_of_b(json!("b"));
    let outcome = own.ask(&[("x-b", &b)]);
    assert_eq!(said(&outcome), "503 keys_unavailable");
    assert!(outcome.came_early());
    assert_eq!(outcome.wanted.unwrap().issuer, "b");
    let own = without_keys_of_b(json!({"any": ["a", "b"]}));
    let outcome = own.ask(&[("authorization", &bearer), ("x-b", &b)]);
    assert_eq!(said(&outcome), "pass a-user");
    assert!(!outcome.came_early() && outcome.wanted.is_some());
    let bad = forged(&bearer);
    let outcome = own.ask(&[("authorization", &bad), ("x-b", &b)]);
    assert_eq!(
        said(&outcome),
        "503 keys_unavailable",
        "that may pass, and the other may not"
    );
    let mut none = without_keys_of_b(json!("allow_missing"));
    none.ring = KeyRing::default();
    assert!(!none.ask(&[]).came_early());
}

#[test]
fn mistakes_name_their_field() {
    let with = |change: Value| issuer("a", &change);
    let config = |change: Value| {
        let mut config = json!({"issuers": [with(json!({}))]});
        for (name, value) in change.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    };
    let of_issuer = |change: Value| config(json!({"issuers": [with(change)]}));
    let route = |change: Value| {
        let mut route = json!({"match": {"prefix": "/a"}, "object": "o", "action": "a"});
        for (name, value) in change.as_object().unwrap() {
            route[name] = value.clone();
        }
        config(json!({"routes": [route]}))
    };
    for (config, message) in [
        (
            of_issuer(json!({"from": [{"header": "a", "query": "b"}]})),
            "`issuers[0].from[0]`",
        ),
        (
            of_issuer(json!({"from": [{"headr": "a"}]})),
            "unknown field `headr`",
        ),
        (of_issuer(json!({"forward": "no"})), "expected a boolean"),
        (
            of_issuer(json!({"payload_header": {"name": "host"}})),
            "`issuers[0].payload_header.name`",
        ),
        (
            of_issuer(json!({"payload_header": {"name": "x", "padded": true}})),
            "unknown field `padded`",
        ),
        (
            config(json!({"issuers": [with(json!({"issuer": "allow_missing"}))]})),
            "`issuers[0].issuer`",
        ),
        (
            config(
                json!({"issuers": [with(json!({"from": [{"header": "x-a"}], "payload_header": {"name": "X-A"}}))]}),
            ),
            "`issuers[0].payload_header.name`",
        ),
        (
            config(json!({
                "issuers": [with(json!({"payload_header": {"name": "x-a"}}))],
                "claim_headers": [{"claim": "a", "header": "X-A"}],
            })),
            "`issuers[0].payload_header.name`",
        ),
        (config(json!({"requires": "b"})), "`requires`"),
        (config(json!({"requires": {"any": []}})), "`requires.any`"),
        (
            route(json!({"requires": {"all": ["a", "b"]}})),
            "`routes[0].requires.all[1]`",
        ),
        (route(json!({"mode": "on"})), "unknown variant `on`"),
        (
            config(
                json!({"routes": [{"match": {"prefix": "/"}, "public": true, "requires": "a"}]}),
            ),
            "`routes[0]`",
        ),
        (
            config(json!({"claim_headers": [{"claim": "a", "header": "x-tokensmith-roles"}]})),
            "`claim_headers[0].header`",
        ),
        (
            config(json!({"claim_headers": [{"claim": [], "header": "x"}]})),
            "`claim_headers[0].claim`",
        ),
        (
            config(json!({"filter_state": {"claims": [["a", ""]]}})),
            "`filter_state.claims[0]`",
        ),
        (
            config(json!({"key_wait": {"requests": 100_001}})),
            "`key_wait.requests`",
        ),
        (
            config(json!({"key_wait": {"timeout_ms": 0}})),
            "`key_wait.timeout_ms`",
        ),
        (
            config(json!({"shadow_policy": {"bundle_uri": "u"}})),
            "`shadow_policy.bundle_issuer`",
        ),
        (config(json!({"policy": {"model": "m"}})), "`policy.rules`"),
        (
            config(json!({"cache": {"entry": 1}})),
            "unknown field `entry`",
        ),
    ] {
        let error = Config::from_json(config.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(message), "{config}: {error}");
    }
}

#[test]
fn plain_configurations_read_nothing_more() {
    let own = Deciding::new(&json!({"issuers": [
        issuer("a", &json!({"from": [{"header": "Authorization"}]})), issuer("b", &json!({})),
    ]}));
    assert!(own.decider.reads_headers().is_empty());
    assert!(!own.decider.reads_route_override());
    let outcome = own.decide(&Request {
        method: "GET",
        target: "/nodes",
        headers: &[("authorization", "Bearer x")],
        ..Request::default()
    });
    assert_eq!(said(&outcome), "401 AUTHN_REQUIRED");
}

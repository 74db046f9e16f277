use serde_json::{Value, json};

use super::*;
use crate::exchange::ExchangeToken;
use crate::jose::Limits;

const ISSUER: &str = "https://tokensmith.example";

fn claims(value: &Value) -> Claims {
    Claims::parse(value.to_string(), &Limits::default()).unwrap()
}

fn ann() -> Value {
    json!({
        "iss": ISSUER, "sub": "ann", "principal_type": "user", "scope": ["read", "write"],
        "groups": ["operators"], "roles": ["operator", "viewer"],
    })
}

fn rules(rules: Value) -> Vec<ExchangeRule> {
    serde_json::from_value(rules).unwrap()
}

/// The words of `text`.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn decide(
    policy: &ExchangePolicy,
    subject: &Value,
    client: Option<&str>,
    targets: &str,
    scopes: Option<&str>,
) -> Result<ExchangeGrant, ExchangeError> {
    let subject = claims(subject);
    let scopes = scopes.map(words);
    policy.decide(&ExchangeRequest {
        parties: ExchangeParties {
            issuer: ISSUER,
            subject: ExchangeToken {
                claims: &subject,
                confirmation_shown: false,
            },
            actor: None,
            client,
        },
        targets: &words(targets),
        scopes: scopes.as_deref(),
    })
}

fn code<T>(result: Result<T, ExchangeError>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn targets_and_scopes_narrow() {
    let policy = ExchangePolicy::new(rules(json!([
        {"name": "one", "clients": ["gw"], "audiences": ["smd"], "scopes": ["read", "admin"],
         "mode": "delegate", "max_lifetime": 300, "roles": ["viewer", "admin"]},
        {"name": "two", "clients": ["*"], "audiences": ["https://bss.example/v1", "power"],
         "scopes": ["write", "read"], "mode": "delegate", "max_lifetime": 200},
        {"name": "three", "clients": ["gw"], "audiences": ["as-user", "smd"],
         "scopes": ["read"], "mode": "impersonate"},
    ])))
    .unwrap();
    let ask =
        |targets: &str, scopes: Option<&str>| decide(&policy, &ann(), Some("gw"), targets, scopes);
    for (targets, requested, audience, scopes, names) in [
        ("", None, "smd", "read", "one"),
        ("smd", Some("read"), "smd", "read", "one"),
        ("smd", Some(""), "smd", "", "one"),
        ("power power", None, "power", "read write", "two"),
        ("power", Some("write"), "power", "write", "two"),
        (
            "smd https://bss.example/v1",
            None,
            "smd https://bss.example/v1",
            "read",
            "one two",
        ),
        ("as-user", None, "as-user", "read", "three"),
    ] {
        let grant = ask(targets, requested).unwrap();
        assert_eq!(grant.audience, words(audience), "{targets}");
        assert_eq!(grant.scopes, words(scopes), "{targets}");
        assert_eq!(grant.rules, words(names), "{targets}");
    }
    let both = ask("smd power", None).unwrap();
    assert_eq!(both.roles, ["viewer"]);
    assert_eq!(both.max_lifetime, Some(200));
    assert_eq!(ask("power", None).unwrap().roles, ["operator", "viewer"]);
    for (targets, requested, expected) in [
        ("smd", Some("write"), "invalid_scope"),
        // In the ceiling, but not the subject's.
        ("smd", Some("admin"), "invalid_scope"),
        ("SMD", None, "invalid_target"),
        ("https://bss.example/v1/", None, "invalid_target"),
        ("smd other", None, "invalid_target"),
        ("power as-user", None, "exchange_modes_differ"),
    ] {
        assert_eq!(code(ask(targets, requested)), Some(expected), "{targets}");
    }
    // The first rule that fits has two audiences.
    let result = decide(&policy, &ann(), Some("other"), "", None);
    assert_eq!(result, Err(ExchangeError::TargetMissing));
}

#[test]
fn who_may_ask() {
    for (clients, client, expected) in [
        (json!(["gw"]), Some("gw"), None),
        (
            json!(["gw"]),
            Some("other"),
            Some("exchange_client_refused"),
        ),
        (json!(["gw"]), None, Some("exchange_client_missing")),
        (json!(["*"]), Some("other"), None),
        (json!(["*"]), None, Some("exchange_client_missing")),
        (json!(["public"]), None, None),
        (json!(["public"]), Some("other"), None),
        (json!(["*", "public"]), None, None),
    ] {
        let policy = ExchangePolicy::new(rules(json!([
            {"name": "r", "clients": clients, "audiences": ["smd"], "scopes": [],
             "mode": "impersonate"},
        ])))
        .unwrap();
        let result = decide(&policy, &ann(), client, "smd", None);
        assert_eq!(code(result), expected, "{clients} {client:?}");
    }
    let empty = ExchangePolicy::default();
    let result = decide(&empty, &ann(), Some("gw"), "smd", None);
    assert_eq!(code(result), Some("exchange_client_refused"));
}

#[test]
fn whose_tokens() {
    let service = json!({"iss": ISSUER, "sub": "boot", "principal_type": "service"});
    let foreign = json!({"iss": "https://idp.example", "sub": "ann", "groups": ["operators"]});
    for (conditions, subject, fits) in [
        (json!({}), ann(), true),
        (json!({}), service.clone(), true),
        (json!({}), foreign.clone(), false),
        (json!({"issuer": "self"}), foreign.clone(), false),
        (
            json!({"issuer": "https://idp.example"}),
            foreign.clone(),
            true,
        ),
        (
            json!({"issuer": "https://idp.example/"}),
            foreign.clone(),
            false,
        ),
        (json!({"issuer": "https://idp.example"}), ann(), false),
        (json!({"principal": "user"}), ann(), true),
        (json!({"principal": "user"}), service.clone(), false),
        (json!({"principal": "service"}), service.clone(), true),
        (json!({"principal": "service"}), ann(), false),
        (json!({"subjects": ["bob", "ann"]}), ann(), true),
        (json!({"subjects": ["bob"]}), ann(), false),
        (
            json!({"groups": ["operators", "x"], "roles": ["viewer"]}),
            ann(),
            true,
        ),
        (
            json!({"groups": ["operators"], "roles": ["admin"]}),
            ann(),
            false,
        ),
        (json!({"groups": ["operators"]}), service.clone(), false),
    ] {
        let policy = ExchangePolicy::new(rules(json!([
            {"name": "r", "clients": ["*"], "subject": conditions, "audiences": ["smd"],
             "scopes": [], "mode": "delegate"},
        ])))
        .unwrap();
        let result = decide(&policy, &subject, Some("gw"), "smd", None);
        let expected = (!fits).then_some("exchange_subject_refused");
        assert_eq!(code(result), expected, "{conditions} {subject}");
    }
}

#[test]
fn rules_that_make_no_sense() {
    let good = json!({
        "name": "r", "clients": ["gw"], "audiences": ["smd"], "scopes": ["read"],
        "mode": "delegate",
    });
    for (field, value, expected) in [
        ("name", json!(" "), "exchange_rule_name"),
        ("clients", json!([]), "exchange_rule_empty"),
        ("clients", json!([""]), "exchange_rule_value"),
        ("clients", json!(["a", "b", "a"]), "exchange_rule_duplicate"),
        ("audiences", json!([]), "exchange_rule_empty"),
        ("audiences", json!(["smd", " "]), "exchange_rule_value"),
        ("scopes", json!(["read write"]), "exchange_rule_value"),
        ("scopes", json!(["read", "read"]), "exchange_rule_duplicate"),
        ("roles", json!(["viewer", ""]), "exchange_rule_value"),
        ("subject", json!({"groups": [""]}), "exchange_rule_value"),
        ("subject", json!({"issuer": ""}), "exchange_rule_value"),
        ("max_lifetime", json!(0), "exchange_rule_lifetime"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let error = ExchangePolicy::new(rules(json!([wrong]))).unwrap_err();
        assert_eq!(error.code(), expected, "{error}");
    }
    let error = ExchangePolicy::new(rules(json!([good, good]))).unwrap_err();
    assert_eq!(error, ExchangePolicyError::DuplicateRule("r".to_owned()));
    assert_eq!(
        ExchangePolicy::new(rules(json!([good])))
            .unwrap()
            .rules()
            .len(),
        1
    );
}

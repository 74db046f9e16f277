//! Tokens of the real service exchanged for others by rules (RFC 8693).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_tests::clients::refused;
use tokensmith_tests::exchange::ExchangeSite;
use tokensmith_tests::tokens::now;

const ISSUER: &str = "http://tokensmith.test";
const HYPHENATED: &str = "urn:ietf:params:oauth:token-type:access-token";
const POWER: &str = "https://power.test/api";

/// Who may have what: users through a gateway, on to the nodes, and as they are.
const RULES: &str = r#"
[[exchange]]
name = "users through the gateway"
clients = ["gateway"]
subject = { principal = "user", groups = ["operators", "admins"] }
audiences = ["smd", "https://power.test/api"]
scopes = ["read", "write"]
mode = "delegate"
max_lifetime = 300

[[exchange]]
name = "the last hop"
clients = ["smd"]
audiences = ["bmc"]
scopes = ["read"]
mode = "delegate"

[[exchange]]
name = "as the user"
clients = ["gateway", "smd"]
audiences = ["legacy"]
scopes = ["read", "write"]
roles = ["viewer"]
mode = "impersonate"

[[exchange]]
name = "also through the gateway"
clients = ["gateway"]
audiences = ["hsm"]
scopes = ["read"]
mode = "delegate"
max_lifetime = 60
"#;

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

fn seconds(claims: &Value) -> i64 {
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

#[test]
fn each_service_on_the_way_is_named_in_the_token() {
    let site = ExchangeSite::start(RULES, &[]);
    let (gateway, smd) = (site.token_of("gateway"), site.token_of("smd"));
    let user = site.ann(&json!({}));
    let response = site.exchange(&user, Some(&gateway), &[("audience", "smd")]);
    assert_eq!(response.json()["issued_token_type"], HYPHENATED);
    assert_eq!(response.json()["scope"], "read write");
    let (first, one) = site.issued("smd", &response);
    assert_eq!(one["iss"], ISSUER);
    assert_eq!(one["sub"], "ann");
    assert_eq!(one["aud"], json!(["smd"]));
    assert_eq!(one["act"], json!({"sub": "gateway", "iss": ISSUER}));
    assert_eq!(one["scope"], json!(["read", "write"]));
    assert_eq!(one["roles"], json!(["operator", "viewer"]));
    assert_eq!(one["groups"], json!(["operators"]));
    assert_eq!(one["principal_type"], "user");
    assert_eq!(one["email"], "ann@site.test");
    assert_eq!(one["auth_methods"], json!(["pwd", "otp"]));
    assert_eq!(one["session_id"], "s-1");
    assert_eq!(seconds(&one), 300, "`max_lifetime`");
    assert!(one["client_id"].is_null(), "{one}");

    let response = site.exchange(&first, Some(&smd), &[]);
    let (second, two) = site.issued("bmc", &response);
    let act = json!({"sub": "smd", "iss": ISSUER, "act": {"sub": "gateway", "iss": ISSUER}});
    assert_eq!(two["act"], act);
    assert_eq!(
        (text(&two, "sub"), &two["scope"]),
        ("ann", &json!(["read"]))
    );
    assert_eq!(two["session_exp"], one["session_exp"]);
    assert!(two["exp"].as_i64() <= one["exp"].as_i64(), "{one} {two}");
    assert_ne!(two["jti"], one["jti"]);

    // As the user: who acted before stays, nobody is added.
    let response = site.exchange(&first, Some(&smd), &[("audience", "legacy")]);
    let (_, three) = site.issued("legacy", &response);
    assert_eq!(three["act"], one["act"]);
    let response = site.exchange(&user, Some(&gateway), &[("audience", "legacy")]);
    let (_, four) = site.issued("legacy", &response);
    assert_eq!(text(&four, "sub"), "ann");
    assert!(four["act"].is_null(), "{four}");
    assert_eq!(four["roles"], json!(["viewer"]), "the rule's ceiling");

    // An actor has to come itself, and a person is no service.
    for (actor, status, error, code) in [
        (&second, 400, "invalid_request", "actor_delegated"),
        (&user, 401, "invalid_client", "exchange_client_missing"),
    ] {
        let response = site.exchange(&user, Some(actor), &[("audience", "smd")]);
        refused(&response, status, error, code, code);
    }
}

#[test]
fn may_act_names_who_acts() {
    let site = ExchangeSite::start(RULES, &[]);
    let gateway = site.token_of("gateway");
    for (may_act, audience, good) in [
        (json!({"sub": "gateway"}), "smd", true),
        (json!({"sub": "gateway", "iss": ISSUER}), "smd", true),
        (json!({"sub": "gateway"}), "legacy", true),
        (json!({"sub": "smd"}), "smd", false),
        (json!({"sub": "smd"}), "legacy", false),
        (json!({"sub": "gateway", "iss": "http://x"}), "smd", false),
        (json!({"sub": "gateway", "client_id": "x"}), "smd", false),
        (json!({}), "smd", false),
        (json!("gateway"), "smd", false),
    ] {
        let user = site.ann(&json!({"may_act": may_act}));
        let response = site.exchange(&user, Some(&gateway), &[("audience", audience)]);
        if !good {
            let code = "may_act_mismatch";
            refused(&response, 400, "invalid_request", code, audience);
            continue;
        }
        let (_, issued) = site.issued(audience, &response);
        match audience {
            "smd" => assert!(issued["may_act"].is_null(), "delegation uses it up"),
            _ => assert_eq!(issued["may_act"], may_act),
        }
    }
}

#[test]
fn scopes_and_targets_are_those_of_rule_and_subject() {
    let site = ExchangeSite::start(RULES, &[]);
    let gateway = site.token_of("gateway");
    let user = site.ann(&json!({}));
    let reader = site.ann(&json!({"scope": "read other", "roles": []}));
    let ask = |subject: &str, more: &[(&str, &str)]| site.exchange(subject, Some(&gateway), more);
    let (smd, power) = (("audience", "smd"), ("resource", POWER));
    for (subject, more, audience, scope, life) in [
        (
            &user,
            vec![smd, ("scope", "read")],
            json!(["smd"]),
            json!(["read"]),
            300,
        ),
        (
            &user,
            vec![power],
            json!([POWER]),
            json!(["read", "write"]),
            300,
        ),
        (
            &user,
            vec![power, smd, smd],
            json!(["smd", POWER]),
            json!(["read", "write"]),
            300,
        ),
        (
            &user,
            vec![smd, ("audience", "hsm")],
            json!(["smd", "hsm"]),
            json!(["read"]),
            60,
        ),
        (&reader, vec![smd], json!(["smd"]), json!(["read"]), 300),
    ] {
        let response = ask(subject, &more);
        let (_, issued) = site.issued(audience[0].as_str().unwrap(), &response);
        assert_eq!(issued["aud"], audience, "{more:?}");
        assert_eq!(issued["scope"], scope, "{more:?}");
        assert_eq!(seconds(&issued), life, "{more:?}");
    }
    let (scope, target) = ("invalid_scope", "invalid_target");
    for (subject, more, error, code) in [
        (&user, vec![smd, ("scope", "read+admin")], scope, scope),
        (&user, vec![smd, ("scope", "delete")], scope, scope),
        (&reader, vec![smd, ("scope", "write")], scope, scope),
        (
            &user,
            vec![smd, ("audience", "hsm"), ("scope", "write")],
            scope,
            scope,
        ),
        (&user, vec![], target, target),
        (&user, vec![("audience", "bmc")], target, target),
        (
            &user,
            vec![("resource", "https://power.test/api/")],
            target,
            target,
        ),
        (&user, vec![smd, ("audience", "elsewhere")], target, target),
        (
            &user,
            vec![smd, ("audience", "legacy")],
            target,
            "exchange_modes_differ",
        ),
    ] {
        let response = ask(subject, &more);
        refused(&response, 400, error, code, &format!("{more:?}"));
    }
}

#[test]
fn only_good_tokens_are_exchanged() {
    let site = ExchangeSite::start(RULES, &[]);
    let (gateway, user) = (site.token_of("gateway"), site.ann(&json!({})));
    let ended = site.ann(&json!({"exp": now() - 120}));
    let weak = site.ann(&json!({"auth_factors": 1}));
    let cnf = json!({"x5t#S256": "A".repeat(43)});
    let bound = site.ann(&json!({"cnf": cnf}));
    let service = json!({"sub": "gateway", "principal_type": "service", "cnf": cnf});
    let bound_service = site.ann(&service);
    let key_bound = site.ann(&json!({"cnf": {"jkt": "A".repeat(43)}}));
    let (signed, _) = user.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    let (revoked, gone) = (site.ann(&json!({})), site.token_of("gateway"));
    let revoke = |token: &str| {
        let response = site.service.form("/oauth/revoke", &[("token", token)]);
        assert_eq!(response.status, 200, "{response:?}");
    };
    revoke(&revoked);
    revoke(&gone);
    for (subject, actor, code) in [
        (&revoked, &gateway, "token_inactive"),
        (&user, &gone, "token_inactive"),
        (&ended, &gateway, "token_expired"),
        (&weak, &gateway, "auth_factors_too_few"),
        (&forged, &gateway, "signature_invalid"),
        (&user, &forged, "signature_invalid"),
        (&bound, &gateway, "cnf_not_shown"),
        (&key_bound, &gateway, "cnf_not_shown"),
        (&user, &bound_service, "cnf_not_shown"),
    ] {
        let response = site.exchange(subject, Some(actor), &[("audience", "smd")]);
        refused(&response, 400, "invalid_request", code, code);
    }
    // With a family all tokens end that have its session.
    let audiences = format!("smd,{}", site.service.issuer);
    let bootstrap = ["--subject", "smd", "--audience", &audiences];
    let answer = site
        .service
        .redeem(&site.service.bootstrap_token(&bootstrap));
    let answer = answer.json();
    let access = text(&answer, "access_token");
    let response = site.exchange(access, Some(access), &[("audience", "legacy")]);
    let (issued, _) = site.issued("legacy", &response);
    revoke(text(&answer, "refresh_token"));
    let smd = site.token_of("smd");
    for token in [access, &issued] {
        let response = site.exchange(token, Some(&smd), &[("audience", "legacy")]);
        refused(&response, 400, "invalid_request", "token_inactive", token);
    }
}

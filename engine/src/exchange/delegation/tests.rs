use super::*;
use crate::exchange::ExchangeToken;
use crate::jose::Limits;

const ISSUER: &str = "https://tokensmith.example";

fn claims(value: &Value) -> Claims {
    Claims::parse(value.to_string(), &Limits::default()).unwrap()
}

/// The subject's token, with `members` in it; `null` takes one out.
fn ann(members: Value) -> Value {
    let mut token = json!({
        "iss": ISSUER, "sub": "ann", "aud": ["gw"], "exp": 2_000, "nbf": 500, "iat": 500,
        "jti": "first", "nonce": "first", "cluster_id": "old", "openchami_id": "old",
        "principal_type": "user", "auth_level": "IAL2", "auth_factors": 2,
        "auth_methods": ["password", "otp"], "auth_events": ["login"], "session_id": "session",
        "session_exp": 5_000, "roles": ["operator", "viewer"], "scope": ["read", "write"],
        "groups": ["operators"], "email": "ann@site.example", "private": "x",
    });
    for (name, value) in members.as_object().unwrap() {
        token[name] = value.clone();
    }
    token
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    token
}

fn grant(mode: ExchangeMode) -> ExchangeGrant {
    ExchangeGrant {
        groups: true,
        rules: vec!["rule".to_owned()],
        mode,
        audience: vec!["smd".to_owned()],
        scopes: vec!["read".to_owned()],
        roles: vec!["viewer".to_owned()],
        max_lifetime: None,
    }
}

fn exchange(
    subject: &Value,
    actor: Option<&Value>,
    client: Option<&str>,
    grant: &ExchangeGrant,
) -> Result<Value, ExchangeError> {
    let subject = claims(subject);
    let actor = actor.map(claims);
    let token = |claims| ExchangeToken {
        claims,
        confirmation_shown: true,
    };
    let parties = ExchangeParties {
        issuer: ISSUER,
        subject: token(&subject),
        actor: actor.as_ref().map(token),
        client,
    };
    let issuance = Issuance {
        issuer: ISSUER,
        cluster_id: "cl",
        openchami_id: "oc",
        now: 1_000,
        lifetime: 3_600,
        jti: "second",
        nonce: "second",
    };
    exchanged_claims(&parties, grant, None, &issuance).map(Value::Object)
}

fn code(result: Result<Value, ExchangeError>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn what_a_token_keeps_and_what_is_new() {
    let subject = ann(json!({"cnf": {"x5t#S256": "AA"}, "client_id": "browser"}));
    let token = exchange(&subject, None, Some("gw"), &grant(ExchangeMode::Delegate)).unwrap();
    let expected = json!({
        "iss": ISSUER, "sub": "ann", "aud": ["smd"], "exp": 2_000, "nbf": 1_000, "iat": 1_000,
        "jti": "second", "nonce": "second", "cluster_id": "cl", "openchami_id": "oc",
        "principal_type": "user", "auth_level": "IAL2", "auth_factors": 2,
        "auth_methods": ["password", "otp"], "auth_events": ["login"], "session_id": "session",
        "session_exp": 5_000, "roles": ["viewer"], "scope": ["read"],
        "groups": ["operators"], "email": "ann@site.example", "client_id": "gw",
        "act": {"sub": "gw", "iss": ISSUER, "client_id": "gw"},
    });
    assert_eq!(token, expected);
}

#[test]
fn a_token_ends_with_the_first_that_ends() {
    let delegate = grant(ExchangeMode::Delegate);
    let short = ExchangeGrant {
        max_lifetime: Some(60),
        ..delegate.clone()
    };
    let actor = json!({"iss": ISSUER, "sub": "gw", "exp": 1_500});
    for (subject, actor, grant, exp) in [
        (json!({}), None, &delegate, 2_000),
        (json!({"exp": 9_000}), None, &delegate, 4_600),
        (
            json!({"exp": 9_000, "session_exp": 1_800}),
            None,
            &delegate,
            1_800,
        ),
        (json!({}), Some(&actor), &delegate, 1_500),
        (json!({}), Some(&actor), &short, 1_060),
        (json!({"exp": 1_001}), None, &short, 1_001),
    ] {
        let token = exchange(&ann(subject), actor, Some("gw"), grant).unwrap();
        assert_eq!(token["exp"], exp);
    }
    let long = ann(json!({"session_exp": 900_000}));
    let token = exchange(&long, None, Some("gw"), &delegate).unwrap();
    assert_eq!(token["session_exp"], 1_000 + MAX_SESSION_SECONDS);
    for ended in [json!({"exp": 1_000}), json!({"session_exp": 1_000})] {
        let result = exchange(&ann(ended), None, Some("gw"), &delegate);
        assert_eq!(code(result), Some("session_ended"));
    }
}

#[test]
fn a_chain_grows_and_is_never_lost() {
    let earlier = json!({"sub": "gw", "act": {"sub": "portal"}});
    let subject = ann(json!({"act": earlier}));
    let actor = json!({"iss": ISSUER, "sub": "smd", "exp": 2_000, "azp": "smd-client"});
    for (mode, expected) in [
        (
            ExchangeMode::Delegate,
            json!({"sub": "smd", "iss": ISSUER, "client_id": "smd-client", "act": earlier}),
        ),
        (ExchangeMode::Impersonate, earlier.clone()),
    ] {
        let token = exchange(&subject, Some(&actor), Some("gw"), &grant(mode)).unwrap();
        assert_eq!(token["act"], expected);
    }
    let nobody = grant(ExchangeMode::Impersonate);
    let token = exchange(&ann(json!({})), None, None, &nobody).unwrap();
    assert!(token.get("act").is_none() && token.get("client_id").is_none());
    let result = exchange(&ann(json!({})), None, None, &grant(ExchangeMode::Delegate));
    assert_eq!(code(result), Some("actor_missing"));
}

#[test]
fn a_chain_has_bounds() {
    let chain = |actors: usize| {
        (1..actors).fold(
            json!({"sub": "first"}),
            |act, _| json!({"sub": "x", "act": act}),
        )
    };
    for (mode, actors, expected) in [
        (ExchangeMode::Delegate, 7, None),
        (ExchangeMode::Delegate, 8, Some("act_too_deep")),
        (ExchangeMode::Impersonate, 8, None),
        (ExchangeMode::Impersonate, 9, Some("act_too_deep")),
    ] {
        let subject = ann(json!({"act": chain(actors)}));
        let result = exchange(&subject, None, Some("gw"), &grant(mode));
        assert_eq!(code(result), expected, "{actors}");
    }
    for act in [json!("gw"), json!([]), json!({"sub": "gw", "act": 1})] {
        let subject = ann(json!({"act": act}));
        let result = exchange(
            &subject,
            None,
            Some("gw"),
            &grant(ExchangeMode::Impersonate),
        );
        assert_eq!(code(result), Some("act_malformed"));
    }
}

#[test]
fn may_act_names_the_one_who_acts() {
    let own = json!({"iss": ISSUER, "sub": "smd", "exp": 2_000, "email": "smd@site.example"});
    let foreign = json!({"iss": "https://idp.example", "sub": "smd", "exp": 2_000});
    for (may_act, actor, client, good) in [
        (json!({"sub": "smd"}), Some(&own), None, true),
        (json!({"sub": "smd", "iss": ISSUER}), Some(&own), None, true),
        (
            json!({"sub": "smd", "email": "smd@site.example"}),
            Some(&own),
            None,
            true,
        ),
        (
            json!({"sub": "smd", "email": "other"}),
            Some(&own),
            None,
            false,
        ),
        (json!({"sub": "bss"}), Some(&own), None, false),
        // The client does not stand in for the actor.
        (json!({"sub": "gw"}), Some(&own), Some("gw"), false),
        (json!({"sub": "smd"}), Some(&foreign), None, false),
        (
            json!({"sub": "smd", "iss": "https://idp.example"}),
            Some(&foreign),
            None,
            true,
        ),
        (json!({"client_id": "gw"}), None, Some("gw"), true),
        (json!({"sub": "gw"}), None, Some("gw"), true),
        (json!({"client_id": "other"}), None, Some("gw"), false),
        (
            json!({"sub": "gw", "client_id": "other"}),
            None,
            Some("gw"),
            false,
        ),
        (json!({"client_id": "gw"}), None, None, false),
        // Names nobody.
        (json!({"iss": ISSUER}), None, Some("gw"), false),
        (json!({}), None, Some("gw"), false),
        (json!("gw"), None, Some("gw"), false),
    ] {
        for mode in [ExchangeMode::Delegate, ExchangeMode::Impersonate] {
            let subject = ann(json!({"may_act": may_act}));
            let result = exchange(&subject, actor, client, &grant(mode));
            let kept = result.as_ref().ok().and_then(|token| token.get("may_act"));
            let expected = Some(&may_act).filter(|_| good && mode == ExchangeMode::Impersonate);
            assert_eq!(kept, expected, "{may_act} {mode:?}");
            let expected = (!good).then_some("may_act_mismatch");
            assert_eq!(code(result), expected, "{may_act} {mode:?}");
        }
    }
}

#[test]
fn claims_that_have_to_be_there() {
    for (name, value, expected) in [
        ("sub", Value::Null, "claim_missing"),
        ("sub", json!(" "), "claim_missing"),
        ("exp", Value::Null, "claim_missing"),
        ("session_exp", Value::Null, "claim_missing"),
        ("session_id", json!(""), "claim_missing"),
        ("auth_level", Value::Null, "claim_missing"),
        ("auth_methods", json!([]), "claim_missing"),
        ("auth_events", Value::Null, "claim_missing"),
        ("auth_factors", Value::Null, "claim_missing"),
        ("auth_factors", json!(1), "auth_factors_too_few"),
    ] {
        let subject = ann(json!({name: value}));
        let result = exchange(&subject, None, Some("gw"), &grant(ExchangeMode::Delegate));
        assert_eq!(code(result), Some(expected), "{name}");
    }
    let actor = json!({"iss": ISSUER, "sub": "gw"});
    let result = exchange(
        &ann(json!({})),
        Some(&actor),
        None,
        &grant(ExchangeMode::Delegate),
    );
    assert_eq!(code(result), Some("claim_missing"));
}

#[test]
fn a_bound_token_needs_what_it_is_bound_to() {
    let subject = claims(&ann(json!({"cnf": {"x5t#S256": "AA"}})));
    for (confirmation_shown, expected) in [(false, Some("cnf_not_shown")), (true, None)] {
        let parties = ExchangeParties {
            issuer: ISSUER,
            subject: ExchangeToken {
                claims: &subject,
                confirmation_shown,
            },
            actor: None,
            client: Some("gw"),
        };
        let issuance = Issuance {
            issuer: ISSUER,
            cluster_id: "cl",
            openchami_id: "oc",
            now: 1_000,
            lifetime: 60,
            jti: "j",
            nonce: "n",
        };
        let mode = ExchangeMode::Delegate;
        let result = exchanged_claims(&parties, &grant(mode), Some("thumbprint"), &issuance);
        let cnf = result.as_ref().ok().map(|token| token["cnf"].clone());
        let bound = json!({"x5t#S256": "thumbprint"});
        assert_eq!(cnf, confirmation_shown.then_some(bound));
        assert_eq!(result.err().map(|error| error.code()), expected);
    }
}

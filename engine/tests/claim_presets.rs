//! Claims as real providers document them, through the preset for each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Map, Value, json};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{
    ClaimDefaults, ClaimMapping, ExchangeError, Issuance, UserTokenRequest, UserTokenRules,
    user_claims,
};
use tokensmith_engine::jose::Limits;

const NOW: i64 = 1_700_000_000;
const ISSUANCE: Issuance<'static> = Issuance {
    issuer: "https://tokensmith.example",
    cluster_id: "cl",
    openchami_id: "oc",
    now: NOW,
    lifetime: 3600,
    jti: "jti-1",
    nonce: "n",
};

fn exchange(rules: &UserTokenRules, claims: &Value) -> Result<Map<String, Value>, ExchangeError> {
    let claims = Claims::parse(claims.to_string(), &Limits::default()).unwrap();
    user_claims(&claims, rules, &UserTokenRequest::default(), &ISSUANCE)
}

fn rules(mapping: Value) -> UserTokenRules {
    let mapping: ClaimMapping = serde_json::from_value(mapping).unwrap();
    mapping.check().unwrap();
    UserTokenRules {
        mapping,
        audiences: vec!["openchami".to_owned()],
        ..UserTokenRules::default()
    }
}

fn missing(claim: &str) -> Result<Map<String, Value>, ExchangeError> {
    Err(ExchangeError::Claim(claim.to_owned()))
}

/// Exchanges and compares; `null` is for what must not be there.
fn assert_made(mapping: Value, token: &Value, expected: &Value) {
    let made = exchange(&rules(mapping.clone()), token).unwrap();
    for (claim, value) in expected.as_object().unwrap() {
        let found = made.get(claim).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{mapping}: {claim} of {made:?}");
    }
}

/// An ID token with the mappers for groups and authentication methods, and the access token of a
/// realm without them.
#[test]
fn keycloak() {
    let id_token = json!({
        "exp": NOW + 300, "iat": NOW, "auth_time": NOW - 600, "jti": "0c2a", "typ": "ID",
        "iss": "https://keycloak.example/realms/site", "aud": "tokensmith", "azp": "tokensmith",
        "sub": "f3b0e0a4-6d5c-4a53-9f0e-0d4a2ed3b1f7", "sid": "5f2a", "at_hash": "x",
        "acr": "2", "amr": ["pwd", "otp"], "email_verified": true, "name": "Dora Doe",
        "preferred_username": "dora", "email": "dora@site.example",
        "groups": ["/admin", "/hpc/users"],
    });
    assert_made(
        json!({"preset": "keycloak"}),
        &id_token,
        &json!({
            "sub": "dora", "groups": ["admin", "hpc/users"], "roles": ["admin"],
            "auth_level": "2", "auth_factors": 2, "auth_methods": ["pwd", "otp"],
            "auth_events": ["oidc_login"], "session_id": "5f2a",
            "session_exp": NOW - 600 + 8 * 3600, "exp": NOW + 300,
            "name": "Dora Doe", "email": "dora@site.example", "email_verified": true,
        }),
    );
    let access_token = json!({
        "exp": NOW + 300, "iat": NOW, "jti": "1", "typ": "Bearer", "azp": "tokensmith",
        "iss": "https://keycloak.example/realms/site", "aud": ["tokensmith", "account"],
        "sub": "f3b0", "sid": "5f2a", "acr": "2", "amr": ["pwd", "otp"],
        "realm_access": {"roles": ["default-roles-site", "operator"]},
        "resource_access": {"tokensmith": {"roles": ["viewer"]}}, "scope": "openid profile",
        "preferred_username": "dora",
    });
    assert_made(
        json!({"preset": "keycloak"}),
        &access_token,
        &json!({
            "groups": ["default-roles-site", "operator"], "roles": ["operator"],
            "session_exp": NOW + 8 * 3600,
        }),
    );
    assert_made(
        json!({
            "preset": "keycloak",
            "groups": [{"claim": ["resource_access", "tokensmith", "roles"]}],
            "auth_level": [{"claim": "acr", "map": {"2": "AAL2"}}],
        }),
        &access_token,
        &json!({"roles": ["viewer"], "auth_level": "AAL2"}),
    );
}

/// Who signed in with a password alone has one factor, whatever stands in for missing claims.
#[test]
fn one_factor_stays_one() {
    let mut rules = rules(json!({"preset": "keycloak"}));
    rules.defaults = ClaimDefaults {
        auth_factors: Some(2),
        ..ClaimDefaults::default()
    };
    let mut token = json!({
        "exp": NOW + 300, "sub": "a", "acr": "1", "amr": ["pwd"], "groups": ["viewer"],
    });
    assert_eq!(exchange(&rules, &token), Err(ExchangeError::Factors(1)));
    token["amr"] = json!([]);
    assert_eq!(exchange(&rules, &token), missing("auth_methods"));
    token["amr"] = json!(["kerberos"]);
    assert_eq!(exchange(&rules, &token).unwrap()["auth_factors"], 2);
    rules.defaults = ClaimDefaults::default();
    assert_eq!(exchange(&rules, &token), missing("auth_factors"));
}

/// An ID token, whose session data are claims, and the introspection of an access token, which has
/// them below `ext`.
#[test]
fn hydra() {
    let id_token = json!({
        "acr": "aal2", "amr": ["pwd", "otp"], "at_hash": "x", "aud": ["tokensmith"],
        "auth_time": NOW - 60, "exp": NOW + 3600, "iat": NOW, "rat": NOW - 70, "jti": "j",
        "iss": "https://hydra.example/", "sid": "4c1e", "sub": "dora@site.example",
        "groups": ["operator"], "email": "dora@site.example",
    });
    assert_made(
        json!({"preset": "hydra"}),
        &id_token,
        &json!({
            "sub": "dora@site.example", "roles": ["operator"], "auth_level": "aal2",
            "auth_factors": 2, "session_id": "4c1e", "session_exp": NOW - 60 + 8 * 3600,
            "email": "dora@site.example",
        }),
    );
    let introspection = json!({
        "scope": "openid", "client_id": "tokensmith", "sub": "dora@site.example",
        "exp": NOW + 3600, "iat": NOW, "nbf": NOW, "aud": [], "iss": "https://hydra.example/",
        "token_type": "Bearer",
        "ext": {"groups": ["viewer"], "amr": ["pwd", "hwk"], "acr": "aal2", "name": "Dora"},
    });
    assert_made(
        json!({"preset": "hydra"}),
        &introspection,
        &json!({
            "roles": ["viewer"], "auth_level": "aal2", "auth_factors": 2, "name": "Dora",
            "session_id": "jti-1", "session_exp": NOW + 8 * 3600,
        }),
    );
}

/// An ID token with a claims policy for groups and names.
#[test]
fn authelia() {
    let mut id_token = json!({
        "amr": ["pwd", "otp", "mfa"], "at_hash": "x", "aud": ["tokensmith"],
        "auth_time": NOW - 60, "azp": "tokensmith", "exp": NOW + 3600, "iat": NOW, "jti": "j",
        "iss": "https://auth.example", "sub": "a3c1f8e2-0a1e-4b3d-8a53-1c5f6d7e8f90",
        "groups": ["viewer"], "preferred_username": "dora", "name": "Dora",
        "email": "dora@site.example",
    });
    let preset = json!({"preset": "authelia"});
    assert_made(
        preset.clone(),
        &id_token,
        &json!({
            "sub": "dora", "roles": ["viewer"], "auth_level": "AAL2", "auth_factors": 2,
            "auth_methods": ["pwd", "otp", "mfa"], "session_id": "jti-1",
            "session_exp": NOW - 60 + 8 * 3600,
        }),
    );
    id_token["amr"] = json!(["pwd"]);
    assert_eq!(exchange(&rules(preset), &id_token), missing("auth_level"));
}

/// An ID token with app roles and the optional claim `amr`, and one whose groups are too many to
/// be in it.
#[test]
fn entra() {
    let mut id_token = json!({
        "ver": "2.0", "iss": "https://login.microsoftonline.com/t/v2.0", "aud": "tokensmith",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "exp": NOW + 3600, "iat": NOW,
        "nbf": NOW, "name": "Dora Doe", "preferred_username": "dora@site.example",
        "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "tid": "t", "sid": "0052",
        "roles": ["operator"], "groups": ["0760b6cf-170e-4a14-91b3-4b78e0739963"],
        "amr": ["pwd", "rsa", "mfa"],
    });
    assert_made(
        json!({"preset": "entra"}),
        &id_token,
        &json!({
            "sub": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "roles": ["operator"],
            "groups": ["operator"], "auth_level": "AAL2", "auth_factors": 2,
            "session_id": "0052", "email": "dora@site.example", "name": "Dora Doe",
        }),
    );
    id_token["roles"] = json!([]);
    id_token.as_object_mut().unwrap().remove("groups");
    id_token["_claim_names"] = json!({"groups": "src1"});
    assert_made(
        json!({"preset": "entra", "subject": [{"claim": "preferred_username"}]}),
        &id_token,
        &json!({"sub": "dora@site.example", "groups": null, "roles": []}),
    );
}

/// What Dex cannot know has to be configured, and the refusal names it.
#[test]
fn dex() {
    let id_token = json!({
        "iss": "https://dex.example", "sub": "CgcyMzQyNzQ5EgZnaXRodWI", "aud": "tokensmith",
        "exp": NOW + 3600, "iat": NOW, "at_hash": "x", "email": "dora@site.example",
        "email_verified": true, "groups": ["site:admin", "viewer"], "name": "Dora",
        "federated_claims": {"connector_id": "ldap", "user_id": "dora"},
    });
    for (mapping, claim) in [
        (json!({"preset": "dex"}), "auth_level"),
        (
            json!({"preset": "dex", "auth_level": [{"value": "AAL2"}]}),
            "auth_factors",
        ),
    ] {
        assert_eq!(exchange(&rules(mapping), &id_token), missing(claim));
    }
    assert_made(
        json!({
            "preset": "dex",
            "subject": [{"claim": ["federated_claims", "user_id"]}],
            "auth_level": [{"value": "AAL2"}],
            "auth_factors": [{"value": 2}],
        }),
        &id_token,
        &json!({
            "sub": "dora", "roles": ["viewer"], "auth_methods": ["ldap"], "auth_factors": 2,
            "auth_events": ["oidc_login"], "session_id": "jti-1",
            "session_exp": NOW + 8 * 3600,
        }),
    );
}

/// A bare ID token of the npm package, with its preset and without.
#[test]
fn oidc_provider() {
    let id_token = json!({
        "sub": "dora", "acr": "urn:site:loa:2", "amr": ["pwd", "otp"], "auth_time": NOW - 30,
        "groups": ["viewer"], "aud": "tokensmith", "exp": NOW + 3600, "iat": NOW,
        "iss": "https://idp.example",
    });
    assert_made(
        json!({"preset": "oidc-provider"}),
        &id_token,
        &json!({
            "sub": "dora", "auth_level": "urn:site:loa:2", "auth_factors": 2,
            "auth_methods": ["pwd", "otp"], "session_exp": NOW - 30 + 8 * 3600,
        }),
    );
    let mut rules = rules(json!({}));
    assert_eq!(exchange(&rules, &id_token), missing("session_exp"));
    rules.defaults = ClaimDefaults {
        auth_factors: Some(2),
        auth_events: Some(vec!["login".to_owned()]),
        session_seconds: Some(600),
        ..ClaimDefaults::default()
    };
    let made = exchange(&rules, &id_token).unwrap();
    assert_eq!(made["auth_level"], "urn:site:loa:2");
    assert_eq!(made["auth_methods"], json!(["pwd", "otp"]));
    assert_eq!(made["auth_events"], json!(["login"]));
    assert_eq!(made["session_exp"], NOW + 600);
}

/// The one claim of the older configuration comes before any mapping.
#[test]
fn the_subject_claim_is_the_only_one() {
    let mut rules = rules(json!({"preset": "oidc-provider", "subject": [{"claim": "uid"}]}));
    rules.subject_claim = Some("email".to_owned());
    let mut token = json!({
        "sub": "dora", "uid": "d", "acr": "2", "amr": ["mfa"], "exp": NOW + 60,
        "email": "dora@site.example",
    });
    assert_eq!(
        exchange(&rules, &token).unwrap()["sub"],
        "dora@site.example"
    );
    token["email"] = json!(" ");
    assert_eq!(exchange(&rules, &token), missing("email"));
    rules.subject_claim = None;
    assert_eq!(exchange(&rules, &token).unwrap()["sub"], "d");
}

#[test]
fn targets_narrow_the_audience() {
    let rules = UserTokenRules {
        audiences: vec!["smd".to_owned(), "bss".to_owned()],
        ..rules(json!({"preset": "oidc-provider"}))
    };
    let token = json!({"sub": "dora", "acr": "2", "amr": ["mfa"], "exp": NOW + 60});
    let claims = Claims::parse(token.to_string(), &Limits::default()).unwrap();
    for (targets, audience) in [
        (vec![], Ok(json!(["smd", "bss"]))),
        (vec!["bss"], Ok(json!(["bss"]))),
        (vec!["bss", "smd", "bss"], Ok(json!(["smd", "bss"]))),
        (vec!["bss", "x"], Err(ExchangeError::Target("x".to_owned()))),
    ] {
        let request = UserTokenRequest {
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            ..UserTokenRequest::default()
        };
        let made = user_claims(&claims, &rules, &request, &ISSUANCE);
        let found = made.map(|claims| claims["aud"].clone());
        assert_eq!(found, audience, "{targets:?}");
    }
}

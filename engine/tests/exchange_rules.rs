//! Whatever is exchanged: nothing is added, nothing lasts longer, nobody who acted is forgotten.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{
    ExchangeMode, ExchangeParties, ExchangePolicy, ExchangeRequest, ExchangeRule, ExchangeToken,
    Issuance, MAX_ACTORS, RoleCeiling, SubjectConditions, exchanged_claims,
};
use tokensmith_engine::jose::Limits;

const ISSUER: &str = "https://tokensmith.example";
const NAMES: &[&str] = &["read", "write", "admin", "boot", "power"];
const TARGETS: &[&str] = &["smd", "bss", "https://power.example"];
const NOW: i64 = 1_000_000;

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(names, 0..=names.len()).prop_map(|names| {
        names
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<String>>()
    })
}

fn mode() -> impl Strategy<Value = ExchangeMode> {
    prop_oneof![
        3 => Just(ExchangeMode::Delegate),
        1 => Just(ExchangeMode::Impersonate),
    ]
}

fn rules() -> impl Strategy<Value = Vec<ExchangeRule>> {
    let roles = prop_oneof![
        Just(RoleCeiling::default()),
        some_of(NAMES).prop_map(RoleCeiling::Only),
    ];
    let audiences = prop::sample::subsequence(TARGETS, 1..=TARGETS.len());
    let client = prop::sample::select(vec!["gw", "smd", "*", "public"]);
    let lifetime = prop::option::of(1..10_000_u32);
    let rule = (client, audiences, some_of(NAMES), mode(), lifetime, roles);
    prop::collection::vec(rule, 1..4).prop_map(|rules| {
        let rules = rules.into_iter().enumerate();
        rules
            .map(|(index, rule)| {
                let (client, audiences, scopes, mode, max_lifetime, roles) = rule;
                ExchangeRule {
                    name: index.to_string(),
                    clients: vec![client.to_owned()],
                    subject: SubjectConditions::default(),
                    audiences: audiences.into_iter().map(str::to_owned).collect(),
                    scopes,
                    mode,
                    max_lifetime,
                    roles,
                }
            })
            .collect::<Vec<_>>()
    })
}

fn subject() -> impl Strategy<Value = Value> {
    let claims = (
        some_of(NAMES),
        some_of(NAMES),
        -10..20_000_i64,
        -10..20_000_i64,
        0..=MAX_ACTORS,
    );
    claims.prop_map(|(scopes, roles, exp, session, actors)| {
        let mut token = json!({
            "iss": ISSUER, "sub": "ann", "aud": ["gw"], "exp": NOW + exp,
            "session_exp": NOW + session, "session_id": "s", "principal_type": "user",
            "auth_level": "IAL2", "auth_factors": 2, "auth_methods": ["otp"],
            "auth_events": ["login"], "scope": scopes, "roles": roles,
        });
        if actors > 0 {
            let first = json!({"sub": "first"});
            token["act"] = (1..actors).fold(first, |act, _| json!({"sub": "later", "act": act}));
        }
        token
    })
}

/// Nobody, a client, a service with a token of its own, or both.
fn acting() -> impl Strategy<Value = (Option<&'static str>, Option<i64>)> {
    (
        prop::option::of(Just("gw")),
        prop::option::of(1..20_000_i64),
    )
}

fn strings(claims: &Value, name: &str) -> Vec<String> {
    let values = claims[name].as_array().cloned().unwrap_or_default();
    let texts = values.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn is_within(some: &[String], all: &[String]) -> bool {
    some.iter().all(|one| all.contains(one))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_exchange_never_adds(
        rules in rules(),
        subject in subject(),
        (client, actor_exp) in acting(),
        targets in some_of(TARGETS),
        requested in prop::option::of(some_of(NAMES)),
        lifetime in 1..10_000_i64,
    ) {
        let limits = Limits::default();
        let policy = ExchangePolicy::new(rules.clone()).unwrap();
        let token = Claims::parse(subject.to_string(), &limits).unwrap();
        let actor = actor_exp.map(|exp| {
            let actor = json!({
                "iss": ISSUER, "sub": "smd", "principal_type": "service", "exp": NOW + exp,
            });
            Claims::parse(actor.to_string(), &limits).unwrap()
        });
        let shown = |claims| ExchangeToken { claims, confirmation_shown: false };
        let parties = ExchangeParties {
            issuer: ISSUER,
            subject: shown(&token),
            actor: actor.as_ref().map(shown),
            client,
        };
        let request = ExchangeRequest {
            parties,
            targets: &targets,
            scopes: requested.as_deref(),
        };
        let Ok(grant) = policy.decide(&request) else {
            return Ok(());
        };
        let used: Vec<&ExchangeRule> =
            rules.iter().filter(|rule| grant.rules.contains(&rule.name)).collect();
        prop_assert!(!used.is_empty() && !grant.audience.is_empty());
        prop_assert!(is_within(&targets, &grant.audience));
        for rule in &used {
            prop_assert_eq!(rule.mode, grant.mode);
            prop_assert!(is_within(&grant.scopes, &rule.scopes));
        }
        for target in &grant.audience {
            prop_assert!(used.iter().any(|rule| rule.audiences.contains(target)));
        }
        let issuance = Issuance {
            issuer: ISSUER,
            cluster_id: "cl",
            openchami_id: "oc",
            now: NOW,
            lifetime,
            jti: "j",
            nonce: "n",
        };
        let Ok(issued) = exchanged_claims(&parties, &grant, None, &issuance) else {
            return Ok(());
        };
        let issued = Value::Object(issued);

        let scopes = strings(&issued, "scope");
        prop_assert!(is_within(&scopes, &strings(&subject, "scope")));
        prop_assert!(is_within(&scopes, &grant.scopes));
        if let Some(requested) = &requested {
            prop_assert!(is_within(&scopes, requested) && is_within(requested, &scopes));
        }
        let roles = strings(&issued, "roles");
        prop_assert!(is_within(&roles, &strings(&subject, "roles")));
        for rule in &used {
            prop_assert!(roles.iter().all(|role| rule.roles.allows(role)));
        }

        let exp = issued["exp"].as_i64().unwrap();
        let mut last = vec![
            subject["exp"].as_i64().unwrap(),
            subject["session_exp"].as_i64().unwrap(),
            NOW + lifetime,
        ];
        last.extend(actor_exp.map(|exp| NOW + exp));
        last.extend(used.iter().filter_map(|rule| Some(NOW + i64::from(rule.max_lifetime?))));
        prop_assert_eq!(Some(exp), last.into_iter().min());
        prop_assert!(exp > NOW);

        let earlier = subject.get("act");
        match grant.mode {
            ExchangeMode::Impersonate => {
                prop_assert_eq!(issued.get("act"), earlier);
            }
            ExchangeMode::Delegate => {
                let own = if actor.is_some() { "smd" } else { "gw" };
                prop_assert_eq!(&issued["act"]["sub"], own);
                prop_assert_eq!(issued["act"].get("act"), earlier);
            }
        }
        prop_assert_eq!(&issued["sub"], "ann");
        // What was issued is itself a token that can be read and exchanged.
        prop_assert!(Claims::parse(issued.to_string(), &limits).is_ok());
    }
}

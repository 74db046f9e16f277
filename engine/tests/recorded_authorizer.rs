//! Decisions recorded from the Go release's Authorizer, and the names a caller has in policies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::authz::{CompiledPolicy, Decision};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{JwkSet, Limits, encode_base64url};
use tokensmith_engine::policy::{BASELINE_MODEL, Source, baseline_rules, compile};
use tokensmith_engine::principal::{Principal, PrincipalMapping};
use tokensmith_engine::verify::{External, KeyRing, Verdict, Verifier};

const VECTORS: &str = include_str!("../../tests/vectors/authorizer.json");
const MATCHER: &str = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";
const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The principal of a token whose signature the test vouches for.
fn principal(claims: &Value, mapping: &str) -> Principal {
    let limits = Limits::default();
    let set = JwkSet::parse(KEYS, &limits).unwrap();
    let ring = KeyRing::new([("i", &set)], &External);
    let mut rules = ClaimRules::generic("i", ["a"]);
    let mapping: PrincipalMapping = serde_json::from_str(mapping).unwrap();
    mapping.check().unwrap();
    rules.principal = mapping;
    let mut payload = json!({"iss": "i", "aud": "a", "exp": 2000});
    for (name, value) in claims.as_object().unwrap() {
        payload[name] = value.clone();
    }
    let token = format!(
        "{}.{}.AAAA",
        encode_base64url(r#"{"alg":"EdDSA","kid":"a"}"#),
        encode_base64url(payload.to_string())
    );
    let verifier = Verifier::new([rules], limits);
    let job = verifier.begin(&token, &ring, 1000).unwrap();
    Principal::from_verified(&job.finish(Verdict::Valid).unwrap())
}

fn policy(matcher: &str, rules: &str) -> CompiledPolicy {
    let model = BASELINE_MODEL.replace(MATCHER, matcher);
    let model = Source {
        name: "model",
        text: &model,
    };
    let rules = Source {
        name: "site.csv",
        text: rules,
    };
    compile(model, &[rules]).unwrap()
}

#[test]
fn recorded_decisions() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let setup = &vectors["setups"][case["setup"].as_str().unwrap()];
        let mut rules = setup["rules"].as_str().unwrap().to_owned();
        if setup["baseline"] == true {
            rules.insert_str(0, &baseline_rules());
        }
        let policy = policy(setup["matcher"].as_str().unwrap(), &rules);
        let roles = case["roles"].as_array().cloned().unwrap_or_default();
        let caller = principal(&json!({"sub": case["principal_id"], "roles": roles}), "{}");
        let mut allowed = Vec::new();
        let decision = policy.authorize_each(
            &caller,
            case["object"].as_str().unwrap(),
            case["action"].as_str().unwrap(),
            |answer| {
                assert_eq!(answer.allowed, answer.row.is_some());
                if answer.allowed {
                    allowed.push(answer.subject.strip_prefix("role:").unwrap().to_owned());
                }
            },
        );
        assert_eq!(decision.name(), case["decision"], "{case}");
        let expected = case["matched_roles"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(json!(allowed), json!(expected), "{case}");
    }
}

#[test]
fn callers_by_other_names() {
    let claims = json!({
        "sub": "alice", "roles": ["viewer"], "groups": ["hpc", " ", "hpc"], "scope": "read write",
    });
    let all = r#"{"subjects": ["user", "service", "group", "scope", "role"]}"#;
    let caller = principal(&claims, all);
    assert_eq!(
        caller.subjects().collect::<Vec<_>>(),
        [
            "user:alice",
            "group:hpc",
            "scope:read",
            "scope:write",
            "role:viewer"
        ]
    );
    let service = r#"{"subjects": ["user", "service"], "service_clients": ["boot"]}"#;
    let service = principal(&json!({"sub": "boot", "azp": "boot"}), service);
    assert_eq!(service.subjects().collect::<Vec<_>>(), ["service:boot"]);

    let rules =
        "p, group:hpc, queue, submit\ng, user:alice, role:admin\np, role:admin, queue, drain\n";
    let policy = policy(MATCHER, rules);
    let by_role = principal(&claims, "{}");
    for (action, named, roles_only) in [
        ("submit", Decision::Allow, Decision::Deny),
        ("drain", Decision::Allow, Decision::Deny),
        ("delete", Decision::Deny, Decision::Deny),
    ] {
        assert_eq!(
            policy.authorize(&caller, "queue", action),
            named,
            "{action}"
        );
        assert_eq!(
            policy.authorize(&by_role, "queue", action),
            roles_only,
            "{action}"
        );
    }
    let mut places = Vec::new();
    policy.authorize_each(&caller, "queue", "drain", |answer| {
        places.extend(answer.row.map(|row| row.to_string()));
    });
    assert_eq!(places, ["site.csv:3"]);
}

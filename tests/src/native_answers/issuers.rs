use serde_json::{Value, json};
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::claims::{ClaimRules, Profile};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::policy::compile_baseline;
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verifier};

/// An issuer as `createVerifier` is told of it.
pub(crate) struct Issuer {
    pub(crate) options: Value,
}

/// The native verifier of some issuers, and what it is called in the lines.
pub(crate) struct Native {
    name: &'static str,
    verifier: Verifier,
    ring: KeyRing,
    baseline: CompiledPolicy,
}

impl Native {
    /// Also prints the line that tells of the issuers.
    pub(crate) fn new(
        name: &'static str,
        issuers: &[Issuer],
        print: &mut impl FnMut(Value),
    ) -> Self {
        let options: Vec<&Value> = issuers.iter().map(|own| &own.options).collect();
        print(json!({"kind": "verifier", "name": name, "options": {"issuers": options}}));
        let sets: Vec<(&str, JwkSet)> = issuers
            .iter()
            .map(|own| {
                let jwks = own.options["jwks"].to_string();
                let set = JwkSet::parse(jwks.as_bytes(), &Limits::default()).unwrap();
                (own.options["issuer"].as_str().unwrap(), set)
            })
            .collect();
        let ring = KeyRing::new(sets.iter().map(|(issuer, set)| (*issuer, set)), &AwsLc);
        assert_eq!(ring.rejected().next(), None);
        Self {
            name,
            verifier: Verifier::new(issuers.iter().map(Issuer::rules), Limits::default()),
            ring,
            baseline: compile_baseline().unwrap(),
        }
    }

    /// Prints what becomes of `token` at `now`, and of `requests` of its principal.
    pub(crate) fn answer(
        &self,
        token: &str,
        now: i64,
        requests: &[[&str; 2]],
        print: &mut impl FnMut(Value),
    ) {
        let outcome = match self.verifier.verify(token, &self.ring, now) {
            Err(error) => json!({"code": error.code(), "message": error.to_string()}),
            Ok(verified) => {
                let principal = Principal::from_verified(&verified);
                let header = verified.header();
                let decisions: Vec<Value> = requests
                    .iter()
                    .map(|[object, action]| {
                        let decision = self.baseline.authorize(&principal, object, action);
                        json!([object, action, decision.name()])
                    })
                    .collect();
                json!({
                    "header": {
                        "alg": header.algorithm.name(), "kid": header.kid, "typ": header.typ,
                    },
                    "claims": verified.claims().all(),
                    "principal": {
                        "id": principal.id(),
                        "type": principal.principal_type().name(),
                        "roles": principal.roles().collect::<Vec<_>>(),
                        "scopes": principal.scopes().collect::<Vec<_>>(),
                    },
                    "decisions": decisions,
                })
            }
        };
        print(json!({
            "kind": "token", "verifier": self.name, "token": token, "now": now, "outcome": outcome,
        }));
    }
}

impl Issuer {
    fn rules(&self) -> ClaimRules {
        let options = &self.options;
        let audiences = match &options["audience"] {
            Value::String(one) => vec![one.clone()],
            several => serde_json::from_value(several.clone()).unwrap(),
        };
        ClaimRules {
            issuer: options["issuer"].as_str().unwrap().to_owned(),
            audiences,
            profile: match options["profile"].as_str() {
                Some("generic") => Profile::Generic,
                _ => Profile::TokenSmith,
            },
            leeway: options["clockTolerance"].as_i64().unwrap_or(60),
            requirements: serde_json::from_value(object(&options["require"])).unwrap(),
            principal: serde_json::from_value(object(&options["principal"])).unwrap(),
        }
    }
}

/// An option that is an object, empty where it is left out.
fn object(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        value => value.clone(),
    }
}

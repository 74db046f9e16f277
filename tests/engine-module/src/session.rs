use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokensmith_engine::authz::{CompileOptions, CompiledPolicy, RequestValue};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::decide::{Config, Decider, Memory, Request, normalise_path};
use tokensmith_engine::jose::{JwkSet, Limits, encode_base64url};
use tokensmith_engine::policy::{Source, compile_with};
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::{
    External, KeyRing, SignatureProvider, Verdict, Verifier, verify_jws,
};

use crate::line::{IssuerKeys, Line};

/// A key that nobody signs with: the tokens of [`Line::Authorize`] are vouched for by the caller.
const NO_KEY: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// What lines have set up so far, and the answers to the next ones.
///
/// ```
/// use tokensmith_engine::verify::portable::Portable;
/// use tokensmith_engine_module::Session;
/// let mut session = Session::new(Portable);
/// let answer = session.answer(r#"{"op": "path", "target": "/a%20b/?q=1"}"#);
/// assert_eq!(answer, r#"{"path":"/a b"}"#);
/// ```
#[derive(Debug)]
pub struct Session<P> {
    provider: P,
    limits: Limits,
    decider: Option<(Decider, KeyRing, Memory)>,
    policy: Option<CompiledPolicy>,
}

impl<P: SignatureProvider + Clone + 'static> Session<P> {
    /// One that has neither configuration nor policy, and checks signatures with `provider`.
    pub fn new(provider: P) -> Self {
        Self {
            provider,
            limits: Limits::default(),
            decider: None,
            policy: None,
        }
    }

    /// The answer to a line, a JSON object with the members in a fixed order.
    pub fn answer(&mut self, line: &str) -> String {
        let line = serde_json::from_str(line).and_then(|line| serde_json::from_value(sorted(line)));
        let answer = match line {
            Ok(line) => self.reply(line),
            Err(error) => refusal("bad_request", &error.to_string()),
        };
        sorted(answer).to_string()
    }

    fn reply(&mut self, line: Line) -> Value {
        match line {
            Line::Jws { jwks, jws } => self.jws(&jwks, &jws),
            Line::Config { config, keys } => self.config(&config, &keys),
            Line::Decide {
                method,
                target,
                authorization,
                request_id,
                now,
            } => {
                let request = Request {
                    method: &method,
                    target: &target,
                    authorization: authorization.as_deref(),
                    request_id: request_id.as_deref(),
                    ..Request::default()
                };
                self.decide(&request, now)
            }
            Line::Policy {
                model,
                rules,
                options,
            } => self.policy(&model, &rules, &options),
            Line::Enforce {
                context,
                request,
                times,
                explain,
            } => self.enforce(&context, &request, times, explain),
            Line::Authorize {
                claims,
                object,
                action,
            } => self.authorize(&claims, &object, &action),
            Line::Path { target } => match normalise_path(&target) {
                Ok(path) => json!({"path": path}),
                Err(error) => json!({"error": error.to_string()}),
            },
        }
    }

    fn jws(&self, jwks: &Value, jws: &str) -> Value {
        let set = match JwkSet::parse(jwks.to_string().as_bytes(), &self.limits) {
            Ok(set) => set,
            Err(error) => return refusal(error.code(), &error.to_string()),
        };
        let ring = KeyRing::new([("", &set)], &self.provider);
        match verify_jws(jws, &ring, "", None, &self.limits) {
            Ok(payload) => json!({"valid": true, "payload": encode_base64url(payload)}),
            Err(error) => refusal(error.code(), &error.to_string()),
        }
    }

    fn config(&mut self, config: &Value, keys: &[IssuerKeys]) -> Value {
        self.decider = None;
        let decider = Config::from_json(config.to_string().as_bytes())
            .and_then(|config| Decider::new(&config, self.limits.clone(), self.provider.clone()));
        let decider = match decider {
            Ok(decider) => decider,
            Err(error) => return refusal(error.code(), &error.to_string()),
        };
        let mut ring = KeyRing::default();
        for own in keys {
            match JwkSet::parse(own.jwks.to_string().as_bytes(), &self.limits) {
                Ok(set) => ring.insert(&own.issuer, &set, &self.provider),
                Err(error) => return refusal(error.code(), &error.to_string()),
            }
        }
        let answer = json!({"policy_version": decider.policy_version()});
        self.decider = Some((decider, ring, Memory::new(0, [0; 16])));
        answer
    }

    fn decide(&mut self, request: &Request<'_>, now: i64) -> Value {
        let Some((decider, ring, memory)) = &mut self.decider else {
            return refusal("bad_request", "there is no configuration");
        };
        let outcome = decider.decide(request, ring, memory, now);
        let denial = outcome.denial.as_ref().map(|denial| {
            json!({
                "status": denial.status,
                "headers": denial.headers,
                "body": String::from_utf8_lossy(&denial.body),
            })
        });
        json!({
            "allowed": outcome.is_allowed(),
            "denial": denial,
            "strip": &*outcome.strip,
            "record": outcome.record,
        })
    }

    fn policy(&mut self, model: &str, rules: &str, options: &CompileOptions) -> Value {
        let model = Source {
            name: "model",
            text: model,
        };
        let rules = Source {
            name: "policy",
            text: rules,
        };
        match compile_with(model, &[rules], options) {
            Ok(policy) => {
                let answer = json!({"policy_version": policy.policy_version()});
                self.policy = Some(policy);
                answer
            }
            Err(error) => {
                self.policy = None;
                refusal(error.code(), &error.to_string())
            }
        }
    }

    fn enforce(&self, context: &str, request: &[Value], times: u32, explain: bool) -> Value {
        let Some(policy) = &self.policy else {
            return refusal("bad_request", "there is no policy");
        };
        let values: Vec<RequestValue<'_>> = request.iter().map(RequestValue::from).collect();
        let mut answer = policy.evaluate_in(context, &values);
        for _ in 1..times {
            answer = policy.evaluate_in(context, std::hint::black_box(&values));
        }
        let answer = match answer {
            Ok(allowed) => json!({"allowed": allowed}),
            Err(error) => refusal(error.code(), &error.to_string()),
        };
        if !explain {
            return answer;
        }
        match policy.explain(context, &values) {
            Ok(explanation) => json!({"answer": answer, "explanation": explanation}),
            Err(error) => {
                json!({"answer": answer, "explanation": refusal(error.code(), &error.to_string())})
            }
        }
    }

    fn authorize(&self, claims: &Value, object: &str, action: &str) -> Value {
        let Some(policy) = &self.policy else {
            return refusal("bad_request", "there is no policy");
        };
        let mut payload = json!({"iss": "i", "aud": "a", "exp": 2000});
        if let (Some(own), Some(more)) = (payload.as_object_mut(), claims.as_object()) {
            own.extend(more.clone());
        }
        let token = format!(
            "{}.{}.AAAA",
            encode_base64url(r#"{"alg":"EdDSA","kid":"a"}"#),
            encode_base64url(payload.to_string())
        );
        let set = match JwkSet::parse(NO_KEY, &self.limits) {
            Ok(set) => set,
            Err(error) => return refusal(error.code(), &error.to_string()),
        };
        let ring = KeyRing::new([("i", &set)], &External);
        let verifier = Verifier::new([ClaimRules::generic("i", ["a"])], self.limits.clone());
        let verified = verifier
            .begin(&token, &ring, 1000)
            .and_then(|job| job.finish(Verdict::Valid));
        let principal = match &verified {
            Ok(verified) => Principal::from_verified(verified),
            Err(error) => return refusal(error.code(), &error.to_string()),
        };
        let mut subjects = Vec::new();
        let decision = policy.authorize_each(&principal, object, action, |answer| {
            subjects.push(json!({
                "subject": answer.subject.to_string(),
                "allowed": answer.allowed,
                "row": answer.row.map(|row| row.to_string()),
            }));
        });
        json!({"decision": decision.name(), "subjects": subjects})
    }
}

/// With the members of objects by name, however this build of `serde_json` keeps them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}

fn refusal(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message})
}

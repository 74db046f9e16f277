//! A decider whose signature checks the test answers, so that it needs no keys of its own.

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};
use tokensmith_engine::decide::{Config, Decider, Memory, Outcome, Request, Step};
use tokensmith_engine::jose::{JwkSet, Limits, encode_base64url};
use tokensmith_engine::verify::{External, KeyRing, Verdict};

pub(crate) const NOW: i64 = 1_800_000_000;

const GOOD: [u8; 64] = [1; 64];
const KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

pub(crate) struct Deciding {
    pub(crate) decider: Decider,
    pub(crate) ring: KeyRing,
    pub(crate) memory: RefCell<Memory>,
    /// How many signatures were checked.
    pub(crate) checks: Cell<usize>,
}

/// The keys of an issuer.
pub(crate) fn jwks() -> Value {
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": KEY}]})
}

/// An issuer with `change` laid over it.
pub(crate) fn issuer(name: &str, change: &Value) -> Value {
    let mut issuer = json!({
        "issuer": name, "audiences": ["svc"], "jwks": jwks(), "profile": "generic",
    });
    lay_over(&mut issuer, change);
    issuer
}

/// A token with a good signature; `change` is laid over its claims.
pub(crate) fn token(issuer: &str, change: &Value) -> String {
    let mut claims = json!({
        "iss": issuer, "sub": format!("{issuer}-user"), "aud": "svc", "exp": NOW + 600,
        "roles": ["viewer"],
    });
    lay_over(&mut claims, change);
    let header = encode_base64url(r#"{"alg":"EdDSA","kid":"k"}"#);
    let payload = encode_base64url(claims.to_string());
    format!("{header}.{payload}.{}", encode_base64url(GOOD))
}

/// The token with another signature.
pub(crate) fn forged(token: &str) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", encode_base64url([2; 64]))
}

impl Deciding {
    /// By a configuration with the routes `/public`, which is, and `/nodes`, which viewers may
    /// read, and `change` laid over it.
    pub(crate) fn new(change: &Value) -> Self {
        let mut config = json!({
            "issuers": [issuer("a", &json!({}))],
            "routes": [
                {"match": {"prefix": "/public"}, "public": true},
                {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
            ],
        });
        lay_over(&mut config, change);
        let parsed = Config::from_json(config.to_string().as_bytes()).unwrap();
        let document = jwks().to_string();
        let set = JwkSet::parse(document.as_bytes(), &Limits::default()).unwrap();
        let names = parsed.issuers.iter().map(|own| (own.issuer.as_str(), &set));
        Self {
            decider: Decider::new(&parsed, Limits::default(), External).unwrap(),
            ring: KeyRing::new(names, &External),
            memory: RefCell::new(Memory::new(16, [7; 16])),
            checks: Cell::new(0),
        }
    }

    pub(crate) fn decide(&self, request: &Request<'_>) -> Outcome<'static> {
        let memory = &mut *self.memory.borrow_mut();
        let mut step = self.decider.begin(request, &self.ring, memory, NOW);
        loop {
            step = match step {
                Step::Done(outcome) => return outcome.into_owned(),
                Step::CheckSignature(pending) => {
                    self.checks.set(self.checks.get() + 1);
                    let verdict = if pending.effect().signature == GOOD {
                        Verdict::Valid
                    } else {
                        Verdict::Invalid
                    };
                    self.decider.finish(*pending, verdict, memory, NOW)
                }
                Step::ReadCertificate(unbound) => self.decider.certificate(*unbound, None, NOW),
            };
        }
    }

    /// `GET /nodes` with these further headers; `authorization` goes where it belongs.
    pub(crate) fn ask(&self, headers: &[(&str, &str)]) -> Outcome<'static> {
        self.ask_for("/nodes", headers)
    }

    pub(crate) fn ask_for(&self, target: &str, headers: &[(&str, &str)]) -> Outcome<'static> {
        let authorization = headers.iter().find(|(name, _)| *name == "authorization");
        self.decide(&Request {
            method: "GET",
            target,
            authorization: authorization.map(|(_, value)| *value),
            headers,
            ..Request::default()
        })
    }
}

/// `pass` with the principal, or status and code of the refusal.
pub(crate) fn said(outcome: &Outcome<'_>) -> String {
    match &outcome.denial {
        None => format!("pass {}", outcome.record.principal_id),
        Some(denial) => {
            let body: Value = serde_json::from_slice(&denial.body).unwrap();
            let code = outcome.record.error.map(str::to_owned);
            let code = code.unwrap_or_else(|| body["code"].as_str().unwrap().to_owned());
            format!("{} {code}", denial.status)
        }
    }
}

fn lay_over(whole: &mut Value, change: &Value) {
    for (name, value) in change.as_object().unwrap() {
        whole[name] = value.clone();
    }
}

use serde_json::json;
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::policy::{BundleJob, BundleLimits, BundleState, BundleVerifier};
use tokensmith_engine::verify::{External, KeyRing, SignatureCheck, Verdict};
use wasm_bindgen::prelude::*;

use crate::policy::Policy;
use crate::thrown::thrown;

/// A signed bundle whose signature has to be checked: it is good when one of `count` keys made it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Bundle {
    job: BundleJob<'static>,
}

/// A bundle that was verified and compiled.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Opened {
    policy: Policy,
    about: String,
}

#[wasm_bindgen]
impl Bundle {
    /// Does what comes before the signature check. `jwks` is the issuer's JWK set.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(jws: &str, issuer: &str, jwks: &[u8]) -> Result<Bundle, JsValue> {
        let set =
            JwkSet::parse(jwks, &Limits::default()).map_err(|error| thrown(error.code(), error))?;
        let keys = KeyRing::new([(issuer, &set)], &External);
        let verifier = BundleVerifier {
            issuer,
            keys: &keys,
            limits: BundleLimits::default(),
        };
        let job = verifier
            .begin(jws)
            .map_err(|error| thrown(error.code(), error))?;
        Ok(Self {
            job: job.into_owned(),
        })
    }

    /// How many keys may have signed, at least one.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.job.checks().count()
    }

    /// The algorithm's name.
    #[wasm_bindgen(getter)]
    pub fn alg(&self) -> Option<String> {
        Some(self.check(0)?.algorithm.name().to_owned())
    }

    /// The key of a check as a JWK, JSON.
    pub fn jwk(&self, check: usize) -> Option<String> {
        Some(self.check(check)?.key.jwk().to_json().to_string())
    }

    /// The signed bytes.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> Option<Vec<u8>> {
        Some(self.check(0)?.message.to_vec())
    }

    /// The signature; for ECDSA r || s.
    #[wasm_bindgen(getter)]
    pub fn signature(&self) -> Option<Vec<u8>> {
        Some(self.check(0)?.signature.to_vec())
    }

    /// Takes the signature's verdict and opens the bundle at `now`, Unix seconds. `state` is what
    /// was kept of the bundle opened before, JSON.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    pub fn finish(self, valid: bool, now: f64, state: Option<String>) -> Result<Opened, JsValue> {
        let state: BundleState = match state {
            Some(text) => {
                serde_json::from_str(&text).map_err(|error| thrown("bad_options", error))?
            }
            None => BundleState::default(),
        };
        let verdict = if valid {
            Verdict::Valid
        } else {
            Verdict::Invalid
        };
        let (opened, next) = self
            .job
            .finish(verdict, seconds(now), &state)
            .map_err(|error| thrown(error.code(), error))?;
        let about = json!({
            "sequence": opened.sequence,
            "expires": opened.expires,
            "digest": opened.digest,
            "state": next,
        });
        Ok(Opened {
            policy: Policy::of(opened.policy),
            about: about.to_string(),
        })
    }
}

impl Bundle {
    fn check(&self, check: usize) -> Option<SignatureCheck<'_>> {
        self.job.checks().nth(check)
    }
}

#[wasm_bindgen]
impl Opened {
    /// `{"sequence", "expires", "digest", "state"}`, JSON; `expires` in Unix seconds.
    #[wasm_bindgen(getter)]
    pub fn about(&self) -> String {
        self.about.clone()
    }

    /// The policy.
    pub fn policy(self) -> Policy {
        self.policy
    }
}

/// Whole Unix seconds; what is no time is the year 1970, when no bundle is good yet.
#[allow(clippy::cast_possible_truncation)]
fn seconds(now: f64) -> i64 {
    now as i64
}

use serde_json::json;
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::{SignatureJob, Verdict};
use wasm_bindgen::prelude::*;

use crate::js_error::thrown;

/// A signature that WebCrypto has to check.
#[wasm_bindgen]
pub struct Job {
    job: SignatureJob<'static>,
    generation: u64,
}

impl Job {
    /// `generation` counts the changes of the key set that the job's key is of.
    pub(crate) fn new(job: SignatureJob<'static>, generation: u64) -> Self {
        Self { job, generation }
    }
}

#[wasm_bindgen]
impl Job {
    /// `alg`, a space, and what an imported key is kept under: the key set's generation and the
    /// key's name in it. A publisher may give another key the same name later.
    #[wasm_bindgen(getter, js_name = keyName)]
    pub fn key_name(&self) -> String {
        let (algorithm, generation) = (self.job.algorithm().name(), self.generation);
        let jwk = self.job.key().jwk();
        match jwk.kid() {
            Some(kid) => format!("{algorithm} {generation} {kid}"),
            None => format!("{algorithm} {generation} {}", jwk.thumbprint()),
        }
    }

    /// The key as a JWK, JSON.
    #[wasm_bindgen(getter)]
    pub fn jwk(&self) -> String {
        self.job.key().jwk().to_json().to_string()
    }

    /// The signed bytes.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> Vec<u8> {
        self.job.message().to_vec()
    }

    /// The signature; for ECDSA r || s.
    #[wasm_bindgen(getter)]
    pub fn signature(&self) -> Vec<u8> {
        self.job.signature().to_vec()
    }

    /// Takes WebCrypto's answer and checks the claims: a line with `{"header", "principal"}`, then
    /// the claims as they were signed, all JSON.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    pub fn finish(self, valid: bool) -> Result<String, JsValue> {
        let verdict = if valid {
            Verdict::Valid
        } else {
            Verdict::Invalid
        };
        let verified = self
            .job
            .finish(verdict)
            .map_err(|error| thrown(error.code(), error))?;
        let principal = Principal::from_verified(&verified);
        let header = verified.header();
        let about = json!({
            "header": {"alg": header.algorithm.name(), "kid": header.kid, "typ": header.typ},
            "principal": {
                "id": principal.id(),
                "type": principal.principal_type().name(),
                "roles": principal.roles().collect::<Vec<_>>(),
                "scopes": principal.scopes().collect::<Vec<_>>(),
            },
        });
        Ok(format!("{about}\n{}", verified.claims().payload()))
    }
}

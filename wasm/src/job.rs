use serde_json::json;
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::{SignatureJob, Verdict};
use wasm_bindgen::prelude::*;

use crate::js_error::thrown;

/// A signature that WebCrypto has to check.
#[wasm_bindgen]
pub struct Job {
    job: SignatureJob<'static>,
}

impl Job {
    pub(crate) fn new(job: SignatureJob<'static>) -> Self {
        Self { job }
    }
}

#[wasm_bindgen]
impl Job {
    /// `alg`.
    #[wasm_bindgen(getter)]
    pub fn algorithm(&self) -> String {
        self.job.algorithm().name().to_owned()
    }

    /// The key's RFC 7638 thumbprint: a name for it that no publisher chooses.
    #[wasm_bindgen(getter)]
    pub fn thumbprint(&self) -> String {
        self.job.key().jwk().thumbprint()
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

    /// Takes WebCrypto's answer and checks the claims: `{"header", "claims", "principal"}` as
    /// JSON.
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
        Ok(json!({
            "header": {"alg": header.algorithm.name(), "kid": header.kid, "typ": header.typ},
            "claims": verified.claims().all(),
            "principal": {
                "id": principal.id(),
                "type": principal.principal_type().name(),
                "roles": principal.roles().collect::<Vec<_>>(),
                "scopes": principal.scopes().collect::<Vec<_>>(),
            },
        })
        .to_string())
    }
}

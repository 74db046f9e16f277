use std::rc::Rc;

use tokensmith_engine::verify::{SignatureJob, TokenDigest};
use wasm_bindgen::prelude::*;

/// A signature that has to be checked, or the answer where that was done before.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Job {
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    Answered(Rc<str>),
    Pending(Box<Pending>),
}

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) job: SignatureJob<'static>,
    /// Counts the changes of the keys that the job's key is of.
    pub(crate) epoch: u64,
    /// What the outcome is kept under, unless it is not kept.
    pub(crate) digest: Option<TokenDigest>,
    pub(crate) now: i64,
}

#[wasm_bindgen]
impl Job {
    /// What the package tells its caller, when there is nothing left to check.
    #[wasm_bindgen(getter)]
    pub fn answer(&self) -> Option<String> {
        match &self.state {
            State::Answered(answer) => Some(answer.to_string()),
            State::Pending(_) => None,
        }
    }

    /// What an imported key is kept under: `alg`, a space, the count of the keys' changes, and the
    /// key's name. A publisher may give another key the same name later.
    #[wasm_bindgen(getter, js_name = keyName)]
    pub fn key_name(&self) -> Option<String> {
        let pending = self.pending()?;
        let (algorithm, epoch) = (pending.job.algorithm().name(), pending.epoch);
        let issuer = pending.job.issuer();
        let jwk = pending.job.key().jwk();
        Some(match jwk.kid() {
            Some(kid) => format!("{algorithm} {epoch} {issuer} {kid}"),
            None => format!("{algorithm} {epoch} {issuer} {}", jwk.thumbprint()),
        })
    }

    /// The key as a JWK, JSON.
    #[wasm_bindgen(getter)]
    pub fn jwk(&self) -> Option<String> {
        let pending = self.pending()?;
        Some(pending.job.key().jwk().to_json().to_string())
    }

    /// The signed bytes.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> Option<Vec<u8>> {
        Some(self.pending()?.job.message().to_vec())
    }

    /// The signature; for ECDSA r || s.
    #[wasm_bindgen(getter)]
    pub fn signature(&self) -> Option<Vec<u8>> {
        Some(self.pending()?.job.signature().to_vec())
    }
}

impl Job {
    fn pending(&self) -> Option<&Pending> {
        match &self.state {
            State::Answered(_) => None,
            State::Pending(pending) => Some(pending),
        }
    }
}

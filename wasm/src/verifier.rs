use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, Fetch, KeySources};
use tokensmith_engine::verify::{
    Cached, External, TokenDigest, Verdict, VerdictCache, VerifyError,
};
use wasm_bindgen::prelude::*;

use crate::answer::answer;
use crate::job::{Job, Pending, State};
use crate::options::{EXPORT_VERSION, IssuerOptions, Options};
use crate::refusal::refusal;
use crate::thrown::thrown;

/// Verifies the tokens of one or several issuers. Times are Unix seconds; keys come by
/// [`Verifier::fetched`] when [`Verifier::poll`] or [`Verifier::unknown_kid`] ask for them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Verifier {
    verifier: tokensmith_engine::verify::Verifier,
    limits: Limits,
    keys: KeySources,
    cache: VerdictCache<Kept>,
}

/// What a verified token was answered with.
#[derive(Clone, Debug)]
struct Kept {
    /// Before this time nothing is known about the token.
    since: i64,
    answer: Rc<str>,
}

#[wasm_bindgen]
impl Verifier {
    /// A verifier by the options of `createVerifier`, given as JSON. `random` is 16 bytes that
    /// nobody else knows: they spread the fetches of pages and key the digests of tokens.
    ///
    /// # Errors
    /// `{"code": "bad_options" | a code of the key set, "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str, random: &[u8], now: f64) -> Result<Verifier, JsValue> {
        let bad = |error: String| thrown("bad_options", error);
        let options = Options::parse(options).map_err(bad)?;
        let key: [u8; 16] = random
            .try_into()
            .map_err(|_| bad("`random` has to be 16 bytes".to_owned()))?;
        let seed = u64::from_le_bytes(key.first_chunk().copied().unwrap_or_default());
        let limits = Limits::default();
        let sources = options
            .issuers
            .iter()
            .map(|own| own.source(&limits))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| thrown(error.code(), error))?;
        let rules = options.issuers.iter().map(IssuerOptions::rules);
        let mut keys = KeySources::new(sources, &External, seed);
        let exported = options.exported_keys().map_err(bad)?;
        keys.import(&exported, seconds(now), &limits, &External);
        Ok(Self {
            verifier: tokensmith_engine::verify::Verifier::new(rules, limits.clone()),
            limits,
            keys,
            cache: VerdictCache::new(options.cache, key),
        })
    }

    /// The fetches to make because there are no keys, or old ones: `[{"id", "issuer", "url"}]` as
    /// JSON, nothing when there are none.
    pub fn poll(&mut self, now: f64) -> Option<String> {
        let fetches = self.keys.poll(seconds(now));
        self.asked(&fetches)
    }

    /// The fetch to make because a token named the key `kid` that is not known, unless that was
    /// asked for a short while ago; as [`Verifier::poll`].
    #[wasm_bindgen(js_name = unknownKid)]
    pub fn unknown_kid(&mut self, issuer: &str, kid: &str, now: f64) -> Option<String> {
        let fetch = self.keys.unknown_kid(issuer, kid, seconds(now))?;
        self.asked(&[fetch])
    }

    /// Takes the answer of a fetch, `Cache-Control` included; keys before it stay when it is not
    /// good.
    ///
    /// # Errors
    /// `{"code": "jwks_fetch", "message"}` as text.
    pub fn fetched(
        &mut self,
        id: f64,
        status: u16,
        cache_control: Option<String>,
        body: &[u8],
    ) -> Result<(), JsValue> {
        let answer = Answer {
            status,
            // The platform's own cache revalidates and never shows a 304.
            etag: None,
            cache_control: cache_control.as_deref(),
            body,
        };
        self.keys
            .fetched(number(id), &answer, &self.limits, &External)
            .map_err(|error| thrown("jwks_fetch", error))?;
        Ok(())
    }

    /// Notes that a fetch had no answer.
    pub fn failed(&mut self, id: f64) {
        self.keys.failed(number(id));
    }

    /// The fetched keys for another verifier, JSON.
    #[wasm_bindgen(js_name = exportKeys)]
    pub fn export_keys(&self, now: f64) -> String {
        let keys = self.keys.export(seconds(now));
        json!({"version": EXPORT_VERSION, "keys": keys}).to_string()
    }

    /// Does everything but the signature check and the claim checks, or finds that they were done
    /// before, where `remember` says to look and to keep.
    ///
    /// # Errors
    /// `{"code", "message"}` as text, with `issuer` and `kid` where keys are missing.
    pub fn begin(&mut self, token: &str, now: f64, remember: bool) -> Result<Job, JsValue> {
        let now = seconds(now);
        let ring = Arc::clone(self.keys.ring(now));
        let epoch = self.keys.epoch();
        self.cache.enter_epoch(epoch);
        let remember =
            remember && self.cache.is_enabled() && token.len() <= self.limits.token_bytes;
        let digest = remember.then(|| self.cache.digest(token));
        if let Some(digest) = &digest {
            match self.cache.get(digest, now) {
                Some(Cached::Verified(kept)) if kept.since <= now => {
                    let state = State::Answered(kept.answer);
                    return Ok(Job { state });
                }
                Some(Cached::Refused(error)) => return Err(refusal(&error)),
                _ => {}
            }
        }
        let job = self
            .verifier
            .begin(token, &ring, now)
            .map_err(|error| refusal(&error))?;
        let pending = Pending {
            job: job.into_owned(),
            epoch,
            digest,
            now,
        };
        Ok(Job {
            state: State::Pending(Box::new(pending)),
        })
    }

    /// Takes the signature's verdict and checks the claims: a line with `{"header", "principal",
    /// "subjects"}`, then the claims as they were signed, all JSON.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    pub fn finish(&mut self, job: Job, valid: bool) -> Result<String, JsValue> {
        let pending = match job.state {
            State::Answered(answer) => return Ok(answer.to_string()),
            State::Pending(pending) => *pending,
        };
        let verdict = if valid {
            Verdict::Valid
        } else {
            Verdict::Invalid
        };
        // What keys of before verified says nothing about those of now.
        let digest = pending
            .digest
            .filter(|_| self.cache.epoch() == pending.epoch && self.keys.epoch() == pending.epoch);
        match pending.job.finish(verdict) {
            Ok(verified) => {
                let answer = answer(&verified);
                if let Some(digest) = digest {
                    let kept = Kept {
                        since: pending.now,
                        answer: answer.as_str().into(),
                    };
                    self.cache.insert(digest, kept, verified.valid_until());
                }
                Ok(answer)
            }
            Err(error) => Err(self.refuse(digest, error, pending.now)),
        }
    }
}

impl Verifier {
    fn refuse(&mut self, digest: Option<TokenDigest>, error: VerifyError, now: i64) -> JsValue {
        let error = Arc::new(error);
        if let Some(digest) = digest {
            self.cache.refuse(digest, &error, now);
        }
        refusal(&error)
    }

    fn asked(&self, fetches: &[Fetch]) -> Option<String> {
        if fetches.is_empty() {
            return None;
        }
        let shown: Vec<_> = fetches
            .iter()
            .map(|fetch| {
                let issuer = self.keys.issuer_of(fetch.id);
                json!({"id": fetch.id, "issuer": issuer, "url": fetch.url})
            })
            .collect();
        Some(serde_json::Value::from(shown).to_string())
    }
}

/// Whole Unix seconds; what is no time is the year 1970, when no token is valid yet.
#[allow(clippy::cast_possible_truncation)]
fn seconds(now: f64) -> i64 {
    now as i64
}

/// Fetches are counted from 0: JavaScript's numbers tell them apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn number(id: f64) -> u64 {
    id as u64
}

use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::keys::{Answer, JwksSource, RefreshPolicy};
use tokensmith_engine::verify::{External, KeyRing, VerifyError};
use wasm_bindgen::prelude::*;

use crate::job::Job;
use crate::js_error::{thrown, unknown_kid};
use crate::options::Options;

/// Verifies the tokens of one issuer. Times are Unix seconds; keys come by
/// [`Verifier::fetched`] when [`Verifier::poll`] or [`Verifier::unknown_kid`] ask for them.
#[wasm_bindgen]
pub struct Verifier {
    issuer: String,
    verifier: tokensmith_engine::verify::Verifier,
    limits: Limits,
    source: Option<JwksSource>,
    asked: u64,
    ring: KeyRing,
}

#[wasm_bindgen]
impl Verifier {
    /// A verifier by the options of `createVerifier`, given as JSON. `seed` is any number that
    /// differs between pages: it spreads their fetches.
    ///
    /// # Errors
    /// `{"code": "bad_options" | a code of the key set, "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str, seed: u64) -> Result<Verifier, JsValue> {
        let options = Options::parse(options).map_err(|error| thrown("bad_options", error))?;
        let limits = Limits::default();
        let mut verifier = Self {
            issuer: options.issuer().to_owned(),
            verifier: tokensmith_engine::verify::Verifier::new([options.rules()], limits.clone()),
            limits: limits.clone(),
            source: options
                .jwks_uri
                .as_ref()
                .map(|url| JwksSource::new(url, RefreshPolicy::default(), seed)),
            asked: 0,
            ring: KeyRing::default(),
        };
        if let Some(jwks) = &options.jwks {
            let set = JwkSet::parse(jwks.to_string().as_bytes(), &limits)
                .map_err(|error| thrown(error.code(), error))?;
            verifier.ring = KeyRing::new([(verifier.issuer.as_str(), &set)], &External);
        }
        Ok(verifier)
    }

    /// The URL to fetch because there are no keys, or old ones.
    pub fn poll(&mut self, now: f64) -> Option<String> {
        let fetch = self.source.as_mut()?.poll(seconds(now))?;
        self.asked = fetch.id;
        Some(fetch.url)
    }

    /// The URL to fetch because a token named the key `kid` that is not known, unless that was
    /// asked for a short while ago.
    #[wasm_bindgen(js_name = unknownKid)]
    pub fn unknown_kid(&mut self, kid: &str, now: f64) -> Option<String> {
        let fetch = self.source.as_mut()?.unknown_kid(kid, seconds(now))?;
        self.asked = fetch.id;
        Some(fetch.url)
    }

    /// Names the fetch that was asked for last, for when it is answered.
    #[wasm_bindgen(getter)]
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Takes the answer of a fetch, `Cache-Control` included; keys before it stay when it is not good.
    ///
    /// # Errors
    /// `{"code": "jwks_fetch", "message"}` as text.
    pub fn fetched(
        &mut self,
        fetch: u64,
        status: u16,
        cache_control: Option<String>,
        body: &[u8],
    ) -> Result<(), JsValue> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let set = source
            .fetched(
                fetch,
                &Answer {
                    status,
                    // The platform's own cache revalidates and never shows a 304.
                    etag: None,
                    cache_control: cache_control.as_deref(),
                    body,
                },
                &self.limits,
            )
            .map_err(|error| thrown("jwks_fetch", error))?;
        self.ring = KeyRing::new([(self.issuer.as_str(), set)], &External);
        Ok(())
    }

    /// Notes that a fetch had no answer.
    pub fn failed(&mut self, fetch: u64) {
        if let Some(source) = &mut self.source {
            source.failed(fetch);
        }
    }

    /// Whether there are keys that may be used.
    #[wasm_bindgen(js_name = hasKeys)]
    pub fn has_keys(&self, now: f64) -> bool {
        match &self.source {
            Some(source) => source.keys(seconds(now)).is_some(),
            None => !self.ring.is_empty(),
        }
    }

    /// Does everything but the signature check and the claim checks.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    pub fn begin(&self, token: &str, now: f64) -> Result<Job, JsValue> {
        if !self.has_keys(now) {
            let message = format!("no keys of issuer `{}` are loaded", self.issuer);
            return Err(thrown("keys_unavailable", message));
        }
        let generation = self.source.as_ref().map_or(0, JwksSource::generation);
        self.verifier
            .begin(token, &self.ring, seconds(now))
            .map(|job| Job::new(job.into_owned(), generation))
            .map_err(|error| match &error {
                VerifyError::UnknownKid { kid, .. } => unknown_kid(kid, &error),
                _ => thrown(error.code(), error),
            })
    }
}

/// Whole Unix seconds; what is no time is the year 1970, when no token is valid yet.
#[allow(clippy::cast_possible_truncation)]
fn seconds(now: f64) -> i64 {
    now as i64
}

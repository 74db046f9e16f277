use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{Config, ConfigError, Decider, IssuerConfig, Memory, WantedKey};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::keys::{Fetch, IssuerSource, KeySources, Origin, RefreshPolicy};
use tokensmith_engine::verify::portable::Portable;

use crate::jwks::JwksRoute;
use crate::signature::HostSignatures;

/// More keys wanted of one issuer between two ticks are looked for with the others.
const WANTED: usize = 8;

/// What all requests of one worker share.
pub(crate) struct State {
    pub(crate) decider: Decider,
    pub(crate) keys: KeySources,
    pub(crate) memory: Memory,
    pub(crate) host_signatures: HostSignatures,
    routes: Vec<JwksRoute>,
    /// The keys that tokens named and that are not loaded, since the last tick.
    wanted: Vec<WantedKey>,
    limits: Limits,
    epoch: u64,
}

impl State {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let limits = Limits::default();
        let mut sources = Vec::new();
        let mut routes = Vec::new();
        for (index, issuer) in config.issuers.iter().enumerate() {
            let field = |name: &str| format!("issuers[{index}].{name}");
            let origin = match &issuer.jwks {
                Some(_) => Origin::Configured(keys_in(issuer, field("jwks"), &limits)?),
                None => {
                    routes.push(JwksRoute::new(issuer, field)?);
                    Origin::Remote {
                        url: issuer.jwks_uri.clone().unwrap_or_default(),
                        policy: RefreshPolicy::default(),
                    }
                }
            };
            sources.push(IssuerSource {
                issuer: issuer.issuer.clone(),
                origin,
            });
        }
        let mut state = Self {
            decider: Decider::new(config, limits.clone(), Portable)?,
            keys: KeySources::new(sources, &Portable, seed()),
            memory: Memory::new(config.cache.entries),
            host_signatures: HostSignatures::detect(),
            routes,
            wanted: Vec::new(),
            limits,
            epoch: 0,
        };
        state.note_keys(now());
        Ok(state)
    }

    pub(crate) fn has_remote_keys(&self) -> bool {
        self.keys.has_remotes()
    }

    pub(crate) fn want(&mut self, key: WantedKey) {
        let own = self.wanted.iter().filter(|own| own.issuer == key.issuer);
        if own.count() < WANTED && !self.wanted.contains(&key) {
            self.wanted.push(key);
        }
    }

    /// Asks Envoy for every JWK set that is due. Only the root context may call this: the answer
    /// goes to the context that asked, and a request's context is gone by then.
    pub(crate) fn poll(&mut self, now: i64) {
        for WantedKey { issuer, kid } in std::mem::take(&mut self.wanted) {
            if let Some(fetch) = kid.and_then(|kid| self.keys.unknown_kid(&issuer, &kid, now)) {
                self.dispatch(&fetch);
            }
        }
        for fetch in self.keys.poll(now) {
            self.dispatch(&fetch);
        }
        self.note_keys(now);
    }

    /// Takes the answer to Envoy's call `call`.
    pub(crate) fn fetched(&mut self, call: u32, now: i64) {
        let waiting = self
            .routes
            .iter_mut()
            .find(|route| route.is_waiting_for(call));
        if let Some(route) = waiting {
            route.fetched(&mut self.keys, &self.limits);
            self.note_keys(now);
        }
    }

    /// Forgets what keys verified that are others now, and says what is wrong with the new ones.
    pub(crate) fn note_keys(&mut self, now: i64) {
        self.keys.ring(now);
        if self.epoch == self.keys.epoch() {
            return;
        }
        self.epoch = self.keys.epoch();
        self.memory.tokens.enter_epoch(self.epoch);
        for rejected in self.keys.ring(now).rejected() {
            log(
                LogLevel::Warn,
                &format!(
                    "key `{}` of issuer `{}` is left out: {}",
                    rejected.kid, rejected.issuer, rejected.error
                ),
            );
        }
        if self.epoch > 1 {
            for issuer in self.keys.missing(now) {
                log(LogLevel::Error, &format!("issuer `{issuer}`: no keys"));
            }
        }
    }

    fn dispatch(&mut self, fetch: &Fetch) {
        let issuer = self.keys.issuer_of(fetch.id).map(str::to_owned);
        let route =
            issuer.and_then(|issuer| self.routes.iter_mut().find(|route| route.is_for(&issuer)));
        match route {
            Some(route) => route.dispatch(fetch, &mut self.keys),
            None => self.keys.failed(fetch.id),
        }
    }
}

/// Unix time in seconds. Without a clock every token has expired.
pub(crate) fn now() -> i64 {
    hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(i64::MAX)
}

pub(crate) fn log(level: LogLevel, message: &str) {
    // Nothing is left to do when even logging fails.
    let _ = hostcalls::log(level, &format!("tokensmith: {message}"));
}

/// Differs from worker to worker by when it started, which is all that spreading fetches needs.
fn seed() -> u64 {
    hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| u64::from(since.subsec_nanos()))
}

fn keys_in(issuer: &IssuerConfig, field: String, limits: &Limits) -> Result<JwkSet, ConfigError> {
    let refused = |message: String| ConfigError::Field {
        field: field.clone(),
        message,
    };
    let text = issuer
        .jwks
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let set = JwkSet::parse(text.as_bytes(), limits).map_err(|error| refused(error.to_string()))?;
    match set.rejected.first() {
        // Unlike a fetched set, a configured one was written by the operator: a bad key is a mistake.
        Some(rejected) => Err(refused(format!(
            "keys[{}]: {}",
            rejected.index, rejected.error
        ))),
        None if set.keys.is_empty() => Err(refused("has no key".to_owned())),
        None => Ok(set),
    }
}

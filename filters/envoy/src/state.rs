use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{Config, ConfigError, Decider, Memory, WantedKeys};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Fetch, KeySources};
use tokensmith_engine::verify::portable::Portable;

use crate::jwks::JwksRoute;
use crate::signature::HostSignatures;

/// What all requests of one worker share.
pub(crate) struct State {
    pub(crate) decider: Decider,
    pub(crate) keys: KeySources,
    pub(crate) memory: Memory,
    pub(crate) host_signatures: HostSignatures,
    /// Since the last tick.
    pub(crate) wanted: WantedKeys,
    routes: Vec<JwksRoute>,
    limits: Limits,
    epoch: u64,
}

impl State {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let limits = Limits::default();
        let mut routes = Vec::new();
        for (index, issuer) in config.issuers.iter().enumerate() {
            if issuer.jwks.is_none() {
                let field = |name: &str| format!("issuers[{index}].{name}");
                routes.push(JwksRoute::new(issuer, field)?);
            }
        }
        let sources = config.key_sources(&limits)?;
        let mut state = Self {
            decider: Decider::new(config, limits.clone(), Portable)?,
            keys: KeySources::new(sources, &Portable, seed()),
            memory: Memory::new(config.cache.entries, digest_key()),
            host_signatures: HostSignatures::detect(),
            routes,
            wanted: WantedKeys::default(),
            limits,
            epoch: 0,
        };
        state.note_keys(now());
        Ok(state)
    }

    pub(crate) fn has_remote_keys(&self) -> bool {
        self.keys.has_remotes()
    }

    /// Asks Envoy for every JWK set that is due. Only the root context may call this: the answer
    /// goes to the context that asked, and a request's context is gone by then.
    pub(crate) fn poll(&mut self, now: i64) {
        for fetch in self.wanted.fetches(&mut self.keys, now) {
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

/// Nobody outside sees when a worker started to the nanosecond; see `VerdictCache::new` for what
/// the key is good for.
fn digest_key() -> [u8; 16] {
    let nanoseconds = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    nanoseconds.to_le_bytes()
}

/// Differs from worker to worker by when it started, which is all that spreading fetches needs.
fn seed() -> u64 {
    hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| u64::from(since.subsec_nanos()))
}

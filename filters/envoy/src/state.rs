use std::sync::Arc;
use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{Config, ConfigError, Decider, Identity, IssuerConfig};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine::verify::{KeyRing, VerifiedCache};

use crate::jwks::RemoteJwks;
use crate::signature::HostSignatures;

/// What all requests of one worker share.
pub(crate) struct State {
    pub(crate) decider: Decider,
    pub(crate) keys: KeyRing,
    pub(crate) cache: VerifiedCache<Arc<Identity>>,
    pub(crate) host_signatures: HostSignatures,
    pub(crate) remote: Vec<RemoteJwks>,
    /// A token named a key that is not loaded since the last tick.
    pub(crate) keys_wanted: bool,
    configured: Vec<(String, JwkSet)>,
    limits: Limits,
    epoch: u64,
}

impl State {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let limits = Limits::default();
        let mut configured = Vec::new();
        let mut remote = Vec::new();
        for (index, issuer) in config.issuers.iter().enumerate() {
            let field = |name: &str| format!("issuers[{index}].{name}");
            match &issuer.jwks {
                Some(_) => configured.push((
                    issuer.issuer.clone(),
                    keys_in(issuer, field("jwks"), &limits)?,
                )),
                None => remote.push(RemoteJwks::new(issuer, field)?),
            }
        }
        let mut state = Self {
            decider: Decider::new(config, limits.clone())?,
            keys: KeyRing::default(),
            cache: VerifiedCache::new(config.cache.entries),
            host_signatures: HostSignatures::detect(),
            remote,
            keys_wanted: false,
            configured,
            limits,
            epoch: 0,
        };
        state.rebuild_keys(now());
        Ok(state)
    }

    /// Makes the key ring anew from configured and fetched sets. Whatever old keys verified is
    /// forgotten.
    pub(crate) fn rebuild_keys(&mut self, now: i64) {
        let configured = self
            .configured
            .iter()
            .map(|(issuer, set)| (issuer.as_str(), set));
        let fetched = self.remote.iter().filter_map(|remote| remote.keys(now));
        self.keys = KeyRing::new(configured.chain(fetched), &Portable);
        for rejected in self.keys.rejected() {
            log(
                LogLevel::Warn,
                &format!(
                    "key `{}` of issuer `{}` is left out: {}",
                    rejected.kid, rejected.issuer, rejected.error
                ),
            );
        }
        self.epoch += 1;
        self.cache.enter_epoch(self.epoch);
    }

    /// Asks Envoy for every JWK set that is due. Only the root context may call this: the answer
    /// goes to the context that asked, and a request's context is gone by then.
    pub(crate) fn poll(&mut self, now: i64) {
        let wanted = std::mem::take(&mut self.keys_wanted);
        for remote in &mut self.remote {
            if wanted {
                remote.unknown_kid(now);
            }
            remote.poll(now);
        }
        if self.remote.iter_mut().any(|remote| remote.has_expired(now)) {
            self.rebuild_keys(now);
        }
    }

    /// Takes the answer to the call `token`; whether it was one of ours.
    pub(crate) fn fetched(&mut self, token: u32, now: i64) {
        let limits = self.limits.clone();
        let changed = self
            .remote
            .iter_mut()
            .filter(|remote| remote.is_waiting_for(token))
            .any(|remote| remote.fetched(&limits));
        if changed {
            self.rebuild_keys(now);
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

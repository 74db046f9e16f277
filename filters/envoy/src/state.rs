use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{BundleSource, Config, ConfigError, Decider, Memory};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::verify::portable::Portable;

use crate::bundle::{Bundle, Change};
use crate::filter_state;
use crate::host::{Clock, digest_key, log};
use crate::keys::{JwksPlace, Keys};
use crate::metrics::Metrics;
use crate::overrides::Overrides;
use crate::signature::HostSignatures;
use crate::waiting::Waiting;

/// From one look at what is fetched to the next.
const TICK: Duration = Duration::from_secs(1);
/// While keys or a policy are missing, or requests wait.
const BRISK_TICK: Duration = Duration::from_millis(50);
/// The first look: Envoy keeps this VM then.
const FIRST_TICK: Duration = Duration::from_millis(5);

/// What all requests of one worker share.
pub(crate) struct State {
    pub(crate) decider: Decider,
    pub(crate) keys: Keys,
    pub(crate) memory: Memory,
    pub(crate) host_signatures: HostSignatures,
    pub(crate) overrides: Overrides,
    pub(crate) waiting: Waiting,
    pub(crate) metrics: Metrics,
    /// Whether decisions are handed to later filters.
    pub(crate) filter_state: bool,
    pub(crate) clear_route_cache: bool,
    pub(crate) policy: Option<Bundle>,
    pub(crate) shadow_policy: Option<Bundle>,
    /// The root context.
    pub(crate) root: u32,
    /// Whether something has changed that requests may wait for.
    pub(crate) anew: bool,
    epoch: u64,
    tick: Option<Duration>,
}

impl State {
    pub(crate) fn new(config: &Config, root: u32) -> Result<Self, ConfigError> {
        let limits = Limits::default();
        let places = config
            .issuers
            .iter()
            .enumerate()
            .filter_map(|(index, issuer)| {
                Some(JwksPlace {
                    issuer: &issuer.issuer,
                    uri: issuer.jwks_uri.as_deref()?,
                    uri_field: format!("issuers[{index}].jwks_uri"),
                    cluster: issuer.jwks_cluster.as_deref(),
                    cluster_field: format!("issuers[{index}].jwks_cluster"),
                })
            })
            .collect();
        let bundle = |name: &'static str, source: Option<BundleSource>| {
            source
                .map(|source| Bundle::new(name, &source, &limits))
                .transpose()
        };
        let policy = bundle("policy", config.policy_bundle(&limits)?)?;
        let shadow_policy = bundle("shadow_policy", config.shadow_policy_bundle(&limits)?)?;
        Ok(Self {
            decider: Decider::new(config, limits.clone(), Portable)?,
            keys: Keys::new(config.key_sources(&limits)?, places, limits.clone())?,
            memory: Memory::new(config.cache.entries, digest_key()),
            host_signatures: HostSignatures::detect(),
            overrides: Overrides::default(),
            waiting: Waiting::new(&config.key_wait),
            metrics: Metrics::default(),
            filter_state: config.filter_state.is_some(),
            clear_route_cache: config.clear_route_cache,
            policy,
            shadow_policy,
            root,
            epoch: 0,
            tick: None,
            anew: false,
        })
    }

    /// Takes over what was fetched before this VM came up. Nothing is fetched yet.
    pub(crate) fn begin(&mut self, now: Clock) {
        self.metrics.define();
        if self.filter_state {
            filter_state::declare();
        }
        self.keys.begin(now, &mut self.metrics);
        let policy = self
            .policy
            .as_mut()
            .and_then(|own| own.begin(now, &mut self.metrics));
        let shadow = self
            .shadow_policy
            .as_mut()
            .and_then(|own| own.begin(now, &mut self.metrics));
        self.change_policy(policy);
        self.change_shadow_policy(shadow);
        self.metrics.policy(self.decider.policy_version());
        self.note_keys(now);
    }

    /// One line about what is configured.
    pub(crate) fn summary(&mut self, now: Clock) -> String {
        format!(
            "configured: mode={} policy_version={} keys={} host_signatures={}",
            self.decider.mode().name(),
            self.decider.policy_version(),
            self.keys.sources.ring(now.seconds).len(),
            self.host_signatures
        )
    }

    /// Fetches what is due, takes what other workers fetched, goes on with the requests that wait
    /// and hands the numbers to Envoy.
    pub(crate) fn tick(&mut self, now: Clock) {
        let under_way = self.under_way();
        self.keys.look(now, &mut self.metrics);
        let policy = self
            .policy
            .as_mut()
            .and_then(|own| own.look(now, &mut self.metrics));
        let shadow = self
            .shadow_policy
            .as_mut()
            .and_then(|own| own.look(now, &mut self.metrics));
        self.change_policy(policy);
        self.change_shadow_policy(shadow);
        self.note_keys(now);
        self.anew |= self.under_way() != under_way;
        self.decide_anew(now);
        if self.metrics.is_due(now.ms) {
            self.hand_over(now);
        }
        self.set_tick(now);
    }

    /// Takes the answer to Envoy's call `call`.
    pub(crate) fn answered(&mut self, call: u32, headers: usize, body_size: usize, now: Clock) {
        let metrics = &mut self.metrics;
        if !self.keys.answered(call, headers, body_size, metrics) {
            let policy = self
                .policy
                .as_mut()
                .and_then(|own| own.answered(call, headers, body_size, now, metrics));
            let shadow = self
                .shadow_policy
                .as_mut()
                .and_then(|own| own.answered(call, headers, body_size, now, metrics));
            self.change_policy(policy);
            self.change_shadow_policy(shadow);
        }
        self.note_keys(now);
        self.anew = true;
        self.decide_anew(now);
    }

    /// Forgets what keys verified that are others now, and says what is wrong with the new ones.
    pub(crate) fn note_keys(&mut self, now: Clock) {
        let sources = &mut self.keys.sources;
        sources.ring(now.seconds);
        if self.epoch == sources.epoch() {
            return;
        }
        self.epoch = sources.epoch();
        self.anew = true;
        self.memory.tokens.enter_epoch(self.epoch);
        for rejected in sources.ring(now.seconds).rejected() {
            log(
                LogLevel::Warn,
                &format!(
                    "key `{}` of issuer `{}` is left out: {}",
                    rejected.kid, rejected.issuer, rejected.error
                ),
            );
        }
        if self.epoch > 1 {
            for issuer in sources.missing(now.seconds) {
                log(LogLevel::Error, &format!("issuer `{issuer}`: no keys"));
            }
        }
    }

    /// Takes the requests that wait, and the numbers, from the state before this one.
    pub(crate) fn succeed(&mut self, former: &mut Self) {
        std::mem::swap(&mut self.waiting, &mut former.waiting);
        std::mem::swap(&mut self.metrics, &mut former.metrics);
        self.metrics.policy(self.decider.policy_version());
        self.anew = true;
    }

    /// Sets the time of the next look; whether Envoy can.
    pub(crate) fn set_tick(&mut self, now: Clock) -> bool {
        let missing = self.keys.sources.missing(now.seconds).next().is_some()
            || (self.policy.is_some() && !self.decider.has_policy())
            || (self.shadow_policy.is_some() && self.decider.shadow_policy_version() == Some(""));
        self.period(match self.tick {
            None => FIRST_TICK,
            Some(_) if missing || self.waiting.len() > 0 => BRISK_TICK,
            Some(_) => TICK,
        })
    }

    /// Hands the last numbers over: Envoy lets this VM go.
    pub(crate) fn end(&mut self, now: Clock) {
        self.metrics
            .hand_over(now.ms, 0, self.keys.sources.ages(now.seconds));
    }

    /// Looks again soon, as a request waits.
    pub(crate) fn hurry(&mut self) {
        if self.tick == Some(TICK) {
            self.period(BRISK_TICK);
        }
    }

    fn period(&mut self, period: Duration) -> bool {
        if self.tick == Some(period) {
            return true;
        }
        match hostcalls::set_tick_period(period) {
            Ok(()) => {
                self.tick = Some(period);
                true
            }
            Err(status) => {
                log(
                    LogLevel::Critical,
                    &format!("cannot set a timer: {status:?}"),
                );
                false
            }
        }
    }

    fn hand_over(&mut self, now: Clock) {
        let waiting = self.waiting.len();
        self.metrics
            .hand_over(now.ms, waiting, self.keys.sources.ages(now.seconds));
    }

    fn change_policy(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Policy(policy)) => refused(self.decider.set_policy(policy)),
            Some(Change::Ended) => self.decider.clear_policy(),
            None => return,
        }
        self.anew = true;
        self.metrics.policy(self.decider.policy_version());
    }

    fn change_shadow_policy(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Policy(policy)) => refused(self.decider.set_shadow_policy(policy)),
            Some(Change::Ended) => self.decider.clear_shadow_policy(),
            None => {}
        }
    }
}

/// Says why a policy was not taken; the one before stays.
fn refused(set: Result<(), ConfigError>) {
    if let Err(error) = set {
        log(
            LogLevel::Error,
            &format!("{error} ({}); keeping the policy before", error.code()),
        );
    }
}

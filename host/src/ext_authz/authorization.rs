use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use tokensmith_engine::decide::{
    Config, ConfigError, Decider, Denial, Memory, Outcome, PolicyConfig, Step, WantedKeys,
};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, Fetch, FetchError, KeySources, Loaded};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{Verdict, VerdictCache};
use tokio::sync::Notify;

use super::answer;
use super::attributes::Attributes;
use super::messages::{CheckRequest, CheckResponse};
use super::metrics::ExtAuthzMetrics;
use crate::clock::unix_now;
use crate::random;

/// Decides what proxies ask. Shared by all calls; a configuration may take another's place at any
/// time.
///
/// ```
/// use tokensmith::ext_authz::Authorization;
/// use tokensmith::ext_authz::messages::{CheckRequest, HttpResponse};
/// use tokensmith_engine::decide::Config;
/// let config = Config::from_json(
///     br#"{"issuers":[{"issuer":"https://a.example","audiences":["x"],"jwks_uri":"https://a.example/jwks"}]}"#,
/// ).unwrap();
/// let authorization = Authorization::new(&config).unwrap();
/// let answer = authorization.check(&CheckRequest::default(), 1_800_000_000);
/// assert_ne!(answer.status.unwrap().code, 0, "what is no request is not allowed");
/// assert!(matches!(answer.http_response, Some(HttpResponse::Denied(_))));
/// ```
pub struct Authorization {
    shared: Mutex<Shared>,
    /// Told of keys that are wanted.
    wanted: Notify,
    limits: Limits,
    metrics: ExtAuthzMetrics,
}

struct Shared {
    decider: Arc<Decider>,
    keys: KeySources,
    memory: Memory,
    wanted: WantedKeys,
    /// Counts the configurations: answers to the fetches of a former one are not for this one.
    generation: u64,
    /// [`KeySources::epoch`] that was seen last.
    key_epoch: u64,
    /// Counts the changes of keys and of configurations.
    epoch: u64,
}

/// Fetches to make, for [`Authorization::fetched`] and [`Authorization::fetch_failed`].
pub(super) struct DueFetches {
    pub(super) generation: u64,
    pub(super) fetches: Vec<Fetch>,
}

impl Authorization {
    /// Decides by `config`; keys that have to be fetched are missing until they are.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let limits = Limits::default();
        let (decider, keys) = prepared(config, &limits)?;
        let mut shared = Shared {
            decider: Arc::new(decider),
            keys,
            memory: Memory::new(config.cache.entries, random::digest_key()),
            wanted: WantedKeys::default(),
            generation: 0,
            key_epoch: 0,
            epoch: 0,
        };
        shared.note_keys(unix_now());
        Ok(Self {
            shared: Mutex::new(shared),
            wanted: Notify::new(),
            limits,
            metrics: ExtAuthzMetrics::default(),
        })
    }

    /// Decides by `config` from now on. Keys of issuers that stay where they were are kept, and so
    /// are the proofs that were used.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field; the former configuration stays in use.
    pub fn replace(&self, config: &Config) -> Result<(), ConfigError> {
        let (decider, mut keys) = prepared(config, &self.limits)?;
        let tokens = VerdictCache::new(config.cache.entries, random::digest_key());
        let now = unix_now();
        let mut shared = self.locked();
        keys.adopt(&shared.keys, now, &AwsLc);
        shared.decider = Arc::new(decider);
        shared.keys = keys;
        shared.memory.tokens = tokens;
        shared.generation += 1;
        // No key epoch is 0, so that the tokens enter a new epoch.
        shared.key_epoch = 0;
        shared.note_keys(now);
        drop(shared);
        self.wanted.notify_one();
        Ok(())
    }

    /// The answer to a proxy at `now`, Unix time in seconds.
    pub fn check(&self, request: &CheckRequest, now: i64) -> CheckResponse {
        let Some(attributes) = Attributes::of(request) else {
            let denial = Denial::unavailable();
            self.metrics.denied(denial.status);
            tracing::error!("a proxy asked about something that is no HTTP request; denied");
            return answer::denied(&denial, None);
        };
        self.decide(&attributes, now)
    }

    /// The version of the policy in use.
    pub fn policy_version(&self) -> String {
        self.locked().decider.policy_version().to_owned()
    }

    /// What is counted.
    pub fn metrics(&self) -> &ExtAuthzMetrics {
        &self.metrics
    }

    fn decide(&self, attributes: &Attributes<'_>, now: i64) -> CheckResponse {
        let mut shared = self.locked();
        shared.note_keys(now);
        let decider = Arc::clone(&shared.decider);
        let values = attributes.headers(decider.reads_headers());
        let headers: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let request = attributes.request(&headers);
        let Shared { keys, memory, .. } = &mut *shared;
        let mut step = decider.begin(&request, keys.ring(now), memory, now);
        drop(shared);
        let outcome = loop {
            match step {
                Step::Done(outcome) => break outcome,
                Step::CheckSignature(pending) => {
                    // Takes longer than all the rest, and others need not wait for it.
                    let verdict = pending.effect().run().unwrap_or(Verdict::Invalid);
                    let mut shared = self.locked();
                    step = decider.finish(*pending, verdict, &mut shared.memory, now);
                }
                Step::ReadCertificate(unbound) => {
                    step = decider.certificate(*unbound, attributes.certificate(), now);
                }
            }
        };
        if let Some(key) = &outcome.wanted
            && self.locked().wanted.note(key)
        {
            self.wanted.notify_one();
        }
        self.metrics.decided(&outcome);
        log(&outcome);
        answer::of_outcome(&outcome)
    }

    /// Ends when a key is wanted that is not loaded, or the configuration has changed.
    pub(super) async fn keys_wanted(&self) {
        self.wanted.notified().await;
    }

    pub(super) fn due_fetches(&self, now: i64) -> DueFetches {
        let mut shared = self.locked();
        let Shared { wanted, keys, .. } = &mut *shared;
        let fetches = wanted.fetches(keys, now);
        shared.note_keys(now);
        DueFetches {
            generation: shared.generation,
            fetches,
        }
    }

    /// Takes the answer to the fetch `id`; nothing where the configuration has changed since.
    pub(super) fn fetched(
        &self,
        generation: u64,
        id: u64,
        answer: &Answer<'_>,
        now: i64,
    ) -> Option<Result<Loaded, FetchError>> {
        let mut shared = self.locked();
        if shared.generation != generation {
            return None;
        }
        let loaded = shared.keys.fetched(id, answer, &self.limits, &AwsLc);
        shared.note_keys(now);
        self.metrics.fetched(loaded.is_ok());
        Some(loaded)
    }

    /// Notes that the fetch `id` had no answer.
    pub(super) fn fetch_failed(&self, generation: u64, id: u64) {
        let mut shared = self.locked();
        if shared.generation == generation {
            shared.keys.failed(id);
            self.metrics.fetched(false);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Forgets what keys verified that are others now, and says what is wrong with the new ones.
    fn note_keys(&mut self, now: i64) {
        self.keys.ring(now);
        if self.key_epoch == self.keys.epoch() {
            return;
        }
        self.key_epoch = self.keys.epoch();
        self.epoch += 1;
        self.memory.tokens.enter_epoch(self.epoch);
        for rejected in self.keys.ring(now).rejected() {
            tracing::warn!(
                issuer = rejected.issuer.as_str(),
                kid = rejected.kid.as_str(),
                error = %rejected.error,
                "a key is left out"
            );
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authorization")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// Everything of a configuration that can be refused.
fn prepared(config: &Config, limits: &Limits) -> Result<(Decider, KeySources), ConfigError> {
    for (index, issuer) in config.issuers.iter().enumerate() {
        let Some(uri) = &issuer.jwks_uri else {
            continue;
        };
        match Url::parse(uri).as_ref().map(Url::scheme) {
            Ok("https") => {}
            Ok("http") => tracing::warn!(
                jwks_uri = uri.as_str(),
                "keys are fetched without TLS: whoever is on the way can give others"
            ),
            _ => {
                return Err(ConfigError::Field {
                    field: format!("issuers[{index}].jwks_uri"),
                    message: format!("`{uri}` is not an http or https URL"),
                });
            }
        }
    }
    refuse_what_only_the_filter_does(config)?;
    let sources = config.key_sources(limits)?;
    let decider = Decider::new(config, limits.clone(), AwsLc)?;
    Ok((decider, KeySources::new(sources, &AwsLc, random::seed())))
}

fn refuse_what_only_the_filter_does(config: &Config) -> Result<(), ConfigError> {
    let is_bundle = |policy: &Option<PolicyConfig>| {
        let own = policy.as_ref();
        own.is_some_and(|policy| policy.bundle_uri.is_some())
    };
    let rules = "is for the filter only: external authorization takes the policy's `rules`";
    let route = "is for the filter only: external authorization does not see the proxy's route";
    for (field, is_given, message) in [
        ("policy.bundle_uri", is_bundle(&config.policy), rules),
        (
            "shadow_policy.bundle_uri",
            is_bundle(&config.shadow_policy),
            rules,
        ),
        ("route_overrides", config.route_overrides, route),
    ] {
        if is_given {
            return Err(ConfigError::Field {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        }
    }
    Ok(())
}

fn log(outcome: &Outcome<'_>) {
    let message = match &outcome.denial {
        Some(_) => "denied",
        None if outcome.record.decision == "allow" => return,
        None => "would be denied",
    };
    if let Ok(record) = serde_json::to_string(&outcome.record) {
        tracing::info!(target: "decision", record = record.as_str(), "{message}");
    }
}

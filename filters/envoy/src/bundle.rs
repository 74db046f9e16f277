use proxy_wasm::types::LogLevel;
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::decide::{BundleSource, ConfigError, WantedKey};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, Origin, SharedDocument};
use tokensmith_engine::policy::{BundleFetchError, BundleFollower, BundleLimits};

use crate::answered::shared_answer;
use crate::document::{Document, Event, Place};
use crate::host::{Clock, log, seed};
use crate::keys::{JwksPlace, Keys};
use crate::metrics::Metrics;
use crate::shared_data;

/// A policy that comes in signed bundles, with the keys that sign them.
pub(crate) struct Bundle {
    /// `policy` or `shadow_policy`, as the configuration calls it.
    name: &'static str,
    issuer: String,
    follower: BundleFollower,
    document: Document,
    keys: Keys,
    /// Of the keys that the last bundle was tried with.
    epoch: u64,
    state_key: String,
}

/// What changes for the policy.
pub(crate) enum Change {
    /// This one takes the place of the one before.
    Policy(Box<CompiledPolicy>),
    /// The bundle in use has ended and there is no other.
    Ended,
}

impl Bundle {
    pub(crate) fn new(
        name: &'static str,
        source: &BundleSource,
        limits: &Limits,
    ) -> Result<Self, ConfigError> {
        let document = Document::new(Place {
            label: format!("{name} bundle of issuer `{}`", source.issuer),
            uri: &source.uri,
            uri_field: format!("{name}.bundle_uri"),
            cluster: source.cluster.as_deref(),
            cluster_field: format!("{name}.bundle_cluster"),
            accept: "application/tokensmith-policy+jwt, application/jwt",
            longest: BundleLimits::default().bytes,
        })?;
        let places = match &source.keys.origin {
            Origin::Configured(_) => Vec::new(),
            Origin::Remote { url, .. } => vec![JwksPlace {
                issuer: &source.keys.issuer,
                uri: url,
                uri_field: format!("{name}.bundle_jwks_uri"),
                cluster: source.keys_cluster.as_deref(),
                cluster_field: format!("{name}.bundle_jwks_cluster"),
            }],
        };
        Ok(Self {
            name,
            follower: BundleFollower::new(
                source.issuer.as_str(),
                source.uri.as_str(),
                BundleFollower::REFRESH,
                seed(),
            ),
            keys: Keys::new(vec![source.keys.clone()], places, limits.clone())?,
            document,
            epoch: 0,
            state_key: format!("tokensmith/bundle/{}/{}", source.issuer, source.uri),
            issuer: source.issuer.clone(),
        })
    }

    /// Takes over what was fetched before this VM came up.
    pub(crate) fn begin(&mut self, now: Clock, metrics: &mut Metrics) -> Option<Change> {
        self.keys.begin(now, metrics);
        let event = self.document.begin()?;
        self.take(event, now)
    }

    /// Lets the engine say what to fetch, and takes what other workers have fetched.
    pub(crate) fn look(&mut self, now: Clock, metrics: &mut Metrics) -> Option<Change> {
        self.keys.look(now, metrics);
        if let Some(fetch) = self.follower.poll(now.seconds) {
            self.document.want(fetch);
        }
        let event = self.document.look(now);
        let taken = event.and_then(|event| self.take(event, now));
        let change = taken.or_else(|| self.retry(now));
        if change.is_none() && self.follower.ends(now.seconds) {
            log(
                LogLevel::Error,
                &format!(
                    "{}: the bundle in use has expired and no other has come",
                    self.document.label()
                ),
            );
            return Some(Change::Ended);
        }
        change
    }

    /// Takes Envoy's answer to `call`, if it is for the bundle or its keys; what changes then.
    pub(crate) fn answered(
        &mut self,
        call: u32,
        headers: usize,
        body_size: usize,
        now: Clock,
        metrics: &mut Metrics,
    ) -> Option<Change> {
        if self.keys.answered(call, headers, body_size, metrics) {
            return self.retry(now);
        }
        if !self.document.is_waiting_for(call) {
            return None;
        }
        let Some(answered) = self.document.answered(headers, body_size) else {
            log(
                LogLevel::Warn,
                &format!(
                    "{}: no answer, or one that is too large; keeping the policy before",
                    self.document.label()
                ),
            );
            metrics.bundle_fetched(self.name, false);
            if let Some(fetch) = self.document.ended(false) {
                self.follower.failed(fetch);
            }
            return None;
        };
        self.recall();
        let ring = self.keys.sources.ring(now.seconds);
        let opened = self
            .follower
            .fetched(answered.fetch, &answered.answer(), ring, now.seconds);
        // What waits for its key is a document that the others can wait with, too.
        let is_good = match &opened {
            Ok(_) => true,
            Err(error) => error.missing_kid().is_some(),
        };
        metrics.bundle_fetched(self.name, is_good);
        if is_good {
            self.document.keep(&answered);
        } else {
            self.document.ended(false);
        }
        self.opened(opened)
    }

    /// Whether the first bundle may come soon.
    pub(crate) fn is_on_its_way(&self) -> bool {
        self.document.is_on_its_way() || self.keys.are_on_their_way(&self.issuer)
    }

    fn take(&mut self, event: Event, now: Clock) -> Option<Change> {
        let bytes = match event {
            Event::Shared(bytes) => bytes,
            Event::Failed(fetch) => {
                self.follower.failed(fetch);
                return None;
            }
        };
        let document = SharedDocument::parse(&bytes)?;
        let answer: Answer<'_> = shared_answer(&document);
        self.recall();
        let ring = self.keys.sources.ring(now.seconds);
        let opened = self.follower.share(document.at, &answer, ring, now.seconds);
        self.opened(opened)
    }

    /// Opens a bundle that waited for its key, once the keys are others.
    fn retry(&mut self, now: Clock) -> Option<Change> {
        self.keys.sources.ring(now.seconds);
        let epoch = self.keys.sources.epoch();
        if epoch == self.epoch {
            return None;
        }
        self.epoch = epoch;
        self.recall();
        let ring = self.keys.sources.ring(now.seconds);
        let opened = self.follower.retry(ring, now.seconds)?;
        self.opened(opened.map(Some))
    }

    fn opened(
        &mut self,
        opened: Result<Option<CompiledPolicy>, BundleFetchError>,
    ) -> Option<Change> {
        match opened {
            Ok(Some(policy)) => {
                shared_data::keep_bundle_state(&self.state_key, self.follower.state());
                log(
                    LogLevel::Info,
                    &format!(
                        "{}: sequence {}, policy_version={}",
                        self.document.label(),
                        self.follower.state().sequence,
                        policy.policy_version()
                    ),
                );
                Some(Change::Policy(Box::new(policy)))
            }
            Ok(None) => None,
            Err(error) => {
                if let Some(kid) = error.missing_kid() {
                    self.keys.wanted.note(&WantedKey {
                        issuer: self.issuer.clone(),
                        kid: Some(kid.to_owned()),
                    });
                }
                log(
                    LogLevel::Warn,
                    &format!(
                        "{}: {error} ({}); keeping the policy before",
                        self.document.label(),
                        error.code()
                    ),
                );
                None
            }
        }
    }

    /// Takes note of what the other workers have opened.
    fn recall(&mut self) {
        if let Some(state) = shared_data::bundle_state(&self.state_key) {
            self.follower.remember(&state);
        }
    }
}

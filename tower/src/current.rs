use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::decide::{
    ConfigError, Decider, DecisionRecord, KeyWait, WantedKey, WantedKeys,
};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, Fetch, FetchError, KeySources, Loaded};
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokio::sync::{Notify, Semaphore, watch};

use crate::Metrics;
use crate::head::Needs;
use crate::header_edits::HeaderNames;
use crate::memories::Memories;

/// Unix time in seconds.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
/// What is told of each decision.
pub(crate) type Observer = Arc<dyn Fn(&DecisionRecord<'_>) + Send + Sync>;

/// What requests are decided with. Never changed, only replaced.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) decider: Decider,
    pub(crate) ring: Arc<KeyRing>,
    /// Counts the changes of keys, for what was remembered of tokens.
    pub(crate) epoch: u64,
}

/// Everything that layers share.
pub(crate) struct Shared {
    pub(crate) current: ArcSwap<Current>,
    control: Mutex<Control>,
    pub(crate) memories: Memories,
    pub(crate) metrics: Metrics,
    pub(crate) options: Options,
    /// Tells these layers from others in the same process.
    pub(crate) id: u64,
    /// When expired keys were looked for last.
    looked: AtomicI64,
    wanted: Mutex<WantedKeys>,
    /// Told of keys that are wanted.
    pub(crate) wants: Notify,
    /// Counts what was published.
    changes: watch::Sender<u64>,
    /// Requests that may wait for keys or policy.
    pub(crate) waiting: Semaphore,
}

/// What does not change.
pub(crate) struct Options {
    pub(crate) names: HeaderNames,
    pub(crate) identity_headers: bool,
    pub(crate) needs: Needs,
    pub(crate) clock: Clock,
    pub(crate) observer: Option<Observer>,
    pub(crate) key_wait: KeyWait,
    pub(crate) issuers: Vec<String>,
    pub(crate) routes: usize,
    pub(crate) policy_source: &'static str,
    pub(crate) limits: Limits,
}

/// What changes, and is published as [`Current`].
struct Control {
    decider: Decider,
    keys: KeySources,
    /// [`KeySources::epoch`] that was seen last.
    key_epoch: u64,
    epoch: u64,
    /// When the keys of each issuer were loaded.
    loaded: BTreeMap<String, i64>,
}

impl Shared {
    pub(crate) fn new(
        decider: Decider,
        mut keys: KeySources,
        entries: usize,
        options: Options,
    ) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let now = (options.clock)();
        let ring = Arc::clone(keys.ring(now));
        for rejected in ring.rejected() {
            tracing::warn!(
                issuer = rejected.issuer.as_str(),
                kid = rejected.kid.as_str(),
                error = %rejected.error,
                "a key is left out"
            );
        }
        let control = Control {
            key_epoch: keys.epoch(),
            epoch: 1,
            loaded: BTreeMap::new(),
            decider: decider.clone(),
            keys,
        };
        let current = Current {
            decider,
            ring,
            epoch: control.epoch,
        };
        Self {
            current: ArcSwap::from_pointee(current),
            memories: Memories::new(entries),
            metrics: Metrics::default(),
            waiting: Semaphore::new(options.key_wait.requests.min(Semaphore::MAX_PERMITS)),
            options,
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            looked: AtomicI64::new(now),
            wanted: Mutex::new(WantedKeys::default()),
            wants: Notify::new(),
            changes: watch::Sender::new(0),
            control: Mutex::new(control),
        }
    }

    /// Unix time in seconds.
    pub(crate) fn now(&self) -> i64 {
        (self.options.clock)()
    }

    /// Takes expired keys out of use. Costs nothing but for one request in each second.
    pub(crate) fn look(&self, now: i64) {
        let looked = self.looked.load(Ordering::Relaxed);
        let mine = looked != now
            && self
                .looked
                .compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            let mut control = self.control();
            self.note_keys(&mut control, now);
        }
    }

    /// Notes a key that a token named and that is not there.
    pub(crate) fn want(&self, key: &WantedKey) {
        let new = self
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(key);
        if new {
            self.wants.notify_one();
        }
    }

    /// The fetches of keys that are due or wanted.
    pub(crate) fn due_fetches(&self, now: i64) -> Vec<Fetch> {
        let mut control = self.control();
        let fetches = {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.fetches(&mut control.keys, now)
        };
        self.note_keys(&mut control, now);
        fetches
    }

    /// Takes the answer to the fetch `id`.
    pub(crate) fn fetched(
        &self,
        id: u64,
        answer: &Answer<'_>,
        now: i64,
    ) -> Result<Loaded, FetchError> {
        let mut control = self.control();
        let loaded = control
            .keys
            .fetched(id, answer, &self.options.limits, &AwsLc);
        if let Ok(loaded) = &loaded {
            control.loaded.insert(loaded.issuer.clone(), now);
        }
        self.note_keys(&mut control, now);
        self.metrics.fetched(loaded.is_ok());
        loaded
    }

    /// Notes that the fetch `id` had no answer.
    pub(crate) fn fetch_failed(&self, id: u64) {
        self.control().keys.failed(id);
        self.metrics.fetched(false);
    }

    /// Decides by another policy from now on.
    ///
    /// # Errors
    /// [`ConfigError`]; the former policy stays in use.
    pub(crate) fn set_policy(&self, policy: Arc<CompiledPolicy>) -> Result<(), ConfigError> {
        self.change_decider(|decider| decider.set_policy(policy))
    }

    /// As [`Shared::set_policy`], for the policy that is only recorded.
    pub(crate) fn set_shadow_policy(&self, policy: Arc<CompiledPolicy>) -> Result<(), ConfigError> {
        self.change_decider(|decider| decider.set_shadow_policy(policy))
    }

    /// Changes a decider's policies and publishes it.
    pub(crate) fn change_decider(
        &self,
        change: impl FnOnce(&mut Decider) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut control = self.control();
        let mut decider = control.decider.clone();
        change(&mut decider)?;
        control.decider = decider;
        let now = self.now();
        self.publish(&mut control, now);
        Ok(())
    }

    /// Told of everything that is published from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What is not there yet: an issuer without keys, or the policy.
    pub(crate) fn missing(&self, now: i64) -> Option<String> {
        let mut control = self.control();
        if let Some(issuer) = control.keys.missing(now).next() {
            return Some(format!("the keys of `{issuer}`"));
        }
        (!control.decider.has_policy()).then(|| "the policy".to_owned())
    }

    /// When the keys of each issuer were fetched; nothing of those that are configured.
    pub(crate) fn loaded(&self) -> BTreeMap<String, i64> {
        self.control().loaded.clone()
    }

    fn note_keys(&self, control: &mut Control, now: i64) {
        control.keys.ring(now);
        if control.key_epoch == control.keys.epoch() {
            return;
        }
        control.key_epoch = control.keys.epoch();
        control.epoch += 1;
        self.publish(control, now);
        for rejected in control.keys.ring(now).rejected() {
            tracing::warn!(
                issuer = rejected.issuer.as_str(),
                kid = rejected.kid.as_str(),
                error = %rejected.error,
                "a key is left out"
            );
        }
    }

    fn publish(&self, control: &mut Control, now: i64) {
        let ring = Arc::clone(control.keys.ring(now));
        if control.key_epoch != control.keys.epoch() {
            control.key_epoch = control.keys.epoch();
            control.epoch += 1;
        }
        self.current.store(Arc::new(Current {
            decider: control.decider.clone(),
            ring,
            epoch: control.epoch,
        }));
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unix time in seconds; before 1970 nothing is valid yet, which 0 says too.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

use thiserror::Error;

use super::{BundleError, BundleLimits, BundleState, BundleVerifier};
use crate::authz::CompiledPolicy;
use crate::claims::DEFAULT_LEEWAY;
use crate::keys::{Answer, Fetch, RefreshPolicy};
use crate::verify::{KeyRing, VerifyError};

/// Follows the policy bundles that one URL gives, as a state machine without IO: when to fetch,
/// what to make of the answers. What is in use stays until a later bundle takes its place, or it
/// ends.
///
/// ```
/// use tokensmith_engine::keys::{Answer, RefreshPolicy};
/// use tokensmith_engine::policy::BundleFollower;
/// use tokensmith_engine::verify::KeyRing;
/// let refresh = BundleFollower::REFRESH;
/// let mut follower = BundleFollower::new("https://a.example", "https://a.example/policy/bundle", refresh, 7);
/// let fetch = follower.poll(0).unwrap();
/// let answer = Answer { status: 404, ..Answer::default() };
/// let refused = follower.fetched(fetch.id, &answer, &KeyRing::default(), 1).unwrap_err();
/// assert_eq!(refused.code(), "bundle_fetch");
/// assert!(follower.poll(2).is_none(), "cooling down");
/// ```
#[derive(Clone, Debug)]
pub struct BundleFollower {
    issuer: String,
    url: String,
    refresh: RefreshPolicy,
    state: BundleState,
    held: Option<Held>,
    unopened: Option<Unopened>,
    in_flight: Option<(u64, i64)>,
    fetches: u64,
    last_attempt: Option<i64>,
    failures: u32,
    seed: u64,
}

/// Why an answer brought no policy; the one before it stays.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BundleFetchError {
    /// Neither a 200 nor a 304 that was asked for.
    #[error("policy bundle answer has status {0}")]
    Status(u16),
    /// The fetch had been given up.
    #[error("policy bundle answer came too late")]
    Late,
    /// The bundle is not good.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// The bundle in use.
#[derive(Clone, Debug)]
struct Held {
    jws: String,
    etag: Option<String>,
    /// When it was asked for.
    fetched: i64,
    fresh: i64,
    expires: i64,
}

/// A bundle whose key is not there yet.
#[derive(Clone, Debug)]
struct Unopened {
    jws: String,
    etag: Option<String>,
    at: i64,
    fresh: i64,
}

impl BundleFollower {
    /// A publisher may be asked often, as what has not changed has no body.
    pub const REFRESH: RefreshPolicy = RefreshPolicy {
        fresh: 60,
        hard_expiry: i64::MAX,
        cooldown: 5,
        timeout: 10,
        absent: 60,
        jitter: 10,
    };

    /// A follower without a bundle. `seed` as in [`crate::keys::JwksSource::new`].
    pub fn new(
        issuer: impl Into<String>,
        url: impl Into<String>,
        refresh: RefreshPolicy,
        seed: u64,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            url: url.into(),
            refresh,
            state: BundleState::default(),
            held: None,
            unopened: None,
            in_flight: None,
            fetches: 0,
            last_attempt: None,
            failures: 0,
            seed,
        }
    }

    /// The bundle that was opened last, to be kept across restarts.
    pub fn state(&self) -> &BundleState {
        &self.state
    }

    /// Takes note of what was opened before a restart, or elsewhere: older bundles are refused.
    pub fn remember(&mut self, state: &BundleState) {
        if state.sequence > self.state.sequence {
            self.state = state.clone();
        }
    }

    /// Whether to fetch because there is no bundle or it is no longer fresh.
    pub fn poll(&mut self, now: i64) -> Option<Fetch> {
        let due = self
            .held
            .as_ref()
            .is_none_or(|held| !(0..held.fresh).contains(&now.saturating_sub(held.fetched)));
        if !due {
            return None;
        }
        if let Some((id, since)) = self.in_flight {
            if (0..self.refresh.timeout).contains(&now.saturating_sub(since)) {
                return None;
            }
            self.failed(id);
        }
        let wait = self.cooldown();
        if self
            .last_attempt
            .is_some_and(|then| (0..wait).contains(&now.saturating_sub(then)))
        {
            return None;
        }
        self.fetches = self.fetches.wrapping_add(1);
        self.in_flight = Some((self.fetches, now));
        self.last_attempt = Some(now);
        Some(Fetch {
            id: self.fetches,
            url: self.url.clone(),
            etag: self.held.as_ref().and_then(|held| held.etag.clone()),
        })
    }

    /// Takes the answer of the fetch `id`: the policy to use from `now` (Unix time in seconds) on,
    /// `None` when it is the one in use.
    ///
    /// # Errors
    /// [`BundleFetchError`]. A bundle whose key is not among `keys` is kept for
    /// [`BundleFollower::retry`].
    pub fn fetched(
        &mut self,
        id: u64,
        answer: &Answer<'_>,
        keys: &KeyRing,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, BundleFetchError> {
        let (_, since) = self
            .in_flight
            .filter(|(own, _)| *own == id)
            .ok_or(BundleFetchError::Late)?;
        self.take(since, answer, keys, now)
    }

    /// Takes an answer that another instance got to what it asked for at `at`, as
    /// [`BundleFollower::fetched`].
    ///
    /// # Errors
    /// [`BundleFetchError`].
    pub fn share(
        &mut self,
        at: i64,
        answer: &Answer<'_>,
        keys: &KeyRing,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, BundleFetchError> {
        self.last_attempt = Some(at.min(now));
        self.take(at.min(now), answer, keys, now)
    }

    /// Notes that the fetch `id` had no answer.
    pub fn failed(&mut self, id: u64) {
        if self.in_flight.is_some_and(|(own, _)| own == id) {
            self.in_flight = None;
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Opens the bundle whose key was not there, now that `keys` are others; `None` when none
    /// waits.
    ///
    /// # Errors
    /// [`BundleFetchError::Bundle`].
    pub fn retry(
        &mut self,
        keys: &KeyRing,
        now: i64,
    ) -> Option<Result<CompiledPolicy, BundleFetchError>> {
        let waiting = self.unopened.take()?;
        Some(
            self.open(waiting, keys, now)
                .map_err(BundleFetchError::Bundle),
        )
    }

    /// Whether the bundle in use has ended at `now`; it is forgotten then.
    pub fn ends(&mut self, now: i64) -> bool {
        let ended = self
            .held
            .as_ref()
            .is_some_and(|held| now >= held.expires.saturating_add(DEFAULT_LEEWAY));
        if ended {
            self.held = None;
        }
        ended
    }

    fn take(
        &mut self,
        at: i64,
        answer: &Answer<'_>,
        keys: &KeyRing,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, BundleFetchError> {
        let taken = self.read(at, answer, keys, now);
        self.in_flight = None;
        self.failures = match taken {
            Ok(_) => 0,
            Err(_) => self.failures.saturating_add(1),
        };
        taken
    }

    fn read(
        &mut self,
        at: i64,
        answer: &Answer<'_>,
        keys: &KeyRing,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, BundleFetchError> {
        let fresh = self.fresh(answer.cache_control);
        match (answer.status, &mut self.held) {
            (304, Some(held)) if held.etag.is_some() => {
                held.fetched = at;
                held.fresh = fresh;
                return Ok(None);
            }
            (200, _) => {}
            (status, _) => return Err(BundleFetchError::Status(status)),
        }
        let text = str::from_utf8(answer.body)
            .map_err(|_| BundleError::Malformed("it is not text".to_owned()))?;
        let jws = text.trim();
        let etag = answer
            .etag
            .filter(|etag| (3..=256).contains(&etag.len()))
            .map(str::to_owned);
        if let Some(held) = self.held.as_mut().filter(|held| held.jws == jws) {
            held.etag = etag;
            held.fetched = at;
            held.fresh = fresh;
            return Ok(None);
        }
        let answered = Unopened {
            jws: jws.to_owned(),
            etag,
            at,
            fresh,
        };
        Ok(self.open(answered, keys, now).map(Some)?)
    }

    fn open(
        &mut self,
        answered: Unopened,
        keys: &KeyRing,
        now: i64,
    ) -> Result<CompiledPolicy, BundleError> {
        let verifier = BundleVerifier {
            issuer: &self.issuer,
            keys,
            limits: BundleLimits::default(),
        };
        let opened = verifier.open(&answered.jws, now, &self.state);
        match opened {
            Ok((opened, state)) => {
                self.state = state;
                self.failures = 0;
                self.unopened = None;
                self.held = Some(Held {
                    jws: answered.jws,
                    etag: answered.etag,
                    fetched: answered.at,
                    fresh: answered.fresh,
                    expires: opened.expires,
                });
                Ok(opened.policy)
            }
            Err(error) => {
                if lacks_key(&error) {
                    self.unopened = Some(answered);
                }
                Err(error)
            }
        }
    }

    /// How long an answer is good by the publisher's word (RFC 9111 section 5.2.2), within bounds.
    fn fresh(&self, cache_control: Option<&str>) -> i64 {
        let told = cache_control
            .unwrap_or_default()
            .split(',')
            .find_map(|directive| {
                let (name, value) = directive.trim().split_once('=')?;
                let seconds = value.trim_matches('"').parse::<u32>().ok()?;
                name.eq_ignore_ascii_case("max-age")
                    .then_some(i64::from(seconds))
            });
        let fresh = told.unwrap_or(self.refresh.fresh).min(self.refresh.fresh);
        (fresh - self.spread(fresh)).max(self.refresh.cooldown)
    }

    /// Least time between fetches now.
    fn cooldown(&self) -> i64 {
        let doublings = self.failures.saturating_sub(1).min(16);
        let doubled = self.refresh.cooldown.saturating_mul(1 << doublings);
        let wait = doubled.min(self.refresh.fresh.max(self.refresh.cooldown));
        match self.failures {
            0 => wait,
            _ => wait.saturating_add(self.spread(wait)),
        }
    }

    /// A part of `time` up to the jitter's percentage, by the seed.
    fn spread(&self, time: i64) -> i64 {
        let percent = i64::from(self.refresh.jitter) + 1;
        let own = i64::try_from(self.seed % 101).unwrap_or(0) % percent;
        time.saturating_mul(own) / 100
    }
}

impl BundleFetchError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            BundleFetchError::Status(_) | BundleFetchError::Late => "bundle_fetch",
            BundleFetchError::Bundle(error) => error.code(),
        }
    }

    /// The `kid` that is not among the keys, if that was why; empty when there is no key at all.
    pub fn missing_kid(&self) -> Option<&str> {
        match self {
            BundleFetchError::Bundle(BundleError::Signature(VerifyError::UnknownKid {
                kid,
                ..
            })) => Some(kid),
            BundleFetchError::Bundle(BundleError::Signature(VerifyError::KeysUnavailable(_))) => {
                Some("")
            }
            _ => None,
        }
    }
}

fn lacks_key(error: &BundleError) -> bool {
    matches!(
        error,
        BundleError::Signature(VerifyError::UnknownKid { .. } | VerifyError::KeysUnavailable(_))
    )
}

use thiserror::Error;

mod exported;

pub use exported::ExportedKeys;

use super::refresh::RefreshPolicy;
use super::unknown_kids::UnknownKids;
use crate::jose::{JwkError, JwkSet, Limits};

/// The effect asked of the shell: GET this URL and answer with [`JwksSource::fetched`] or
/// [`JwksSource::failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fetch {
    /// Names this fetch when it is answered.
    pub id: u64,
    /// The JWK set's URL.
    pub url: String,
    /// `If-None-Match`, when the shell can send it: the entity tag of the set that is held.
    pub etag: Option<String>,
}

/// The answer to a fetch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<&'a str>,
    /// `Cache-Control`.
    pub cache_control: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// Why a fetched document was not taken over; the keys before it stay.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FetchError {
    /// Neither a 200 nor a 304 that was asked for.
    #[error("JWK set answer has status {0}")]
    Status(u16),
    /// Not a JWK set.
    #[error(transparent)]
    Document(#[from] JwkError),
    /// No key of the set can verify.
    #[error("JWK set has no usable key")]
    NoUsableKey,
    /// The fetch had been given up: what it brings may be older than what is held.
    #[error("JWK set answer came too late")]
    Late,
}

/// The keys of one issuer, fetched from its `jwks_uri`.
///
/// One fetch at a time, never two within the cool-down; a failed fetch keeps the last good set
/// until its hard expiry; a key withdrawn from the set is gone with the next good answer.
///
/// ```
/// use tokensmith_engine::jose::Limits;
/// use tokensmith_engine::keys::{JwksSource, RefreshPolicy};
///
/// let seed = 7;
/// let mut source = JwksSource::new("https://issuer.example/jwks", RefreshPolicy::default(), seed);
/// let fetch = source.poll(0).unwrap();
/// assert!(source.poll(0).is_none(), "one fetch at a time");
/// source.failed(fetch.id);
/// assert!(source.unknown_kid("key-2", 2).is_none(), "cooling down");
/// assert!(source.poll(60).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct JwksSource {
    url: String,
    policy: RefreshPolicy,
    held: Option<Held>,
    in_flight: Option<InFlight>,
    fetches: u64,
    last_attempt: Option<i64>,
    failures: u32,
    generation: u64,
    seed: u64,
    absent: UnknownKids,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u64,
    since: i64,
}

#[derive(Clone, Debug)]
struct Held {
    set: JwkSet,
    etag: Option<String>,
    /// When it was asked for: the publisher made it no earlier.
    fetched: i64,
    fresh: i64,
}

impl JwksSource {
    /// A source without keys. `seed` is any number that differs between processes: it spreads
    /// their fetches, so that many that started together do not ask together for ever.
    pub fn new(url: impl Into<String>, policy: RefreshPolicy, seed: u64) -> Self {
        Self {
            url: url.into(),
            policy,
            held: None,
            in_flight: None,
            fetches: 0,
            last_attempt: None,
            failures: 0,
            generation: 0,
            seed,
            absent: UnknownKids::default(),
        }
    }

    /// Whether to fetch because there are no keys or they are no longer fresh.
    pub fn poll(&mut self, now: i64) -> Option<Fetch> {
        // A set from the future was fetched before the clock went back: its age counts from now
        // on, and it is looked at again at once.
        if let Some(held) = &mut self.held
            && held.fetched > now
        {
            held.fetched = now;
            held.fresh = 0;
        }
        let due = self
            .held
            .as_ref()
            .is_none_or(|held| !(0..held.fresh).contains(&now.saturating_sub(held.fetched)));
        if due { self.start(now) } else { None }
    }

    /// Whether to fetch because a token named a `kid` that is not in the set. A `kid` that a
    /// fetch did not bring is not asked for again for [`RefreshPolicy::absent`] seconds.
    pub fn unknown_kid(&mut self, kid: &str, now: i64) -> Option<Fetch> {
        if self.absent.has(kid, now, self.policy.absent) {
            return None;
        }
        let fetch = self.start(now)?;
        self.absent.insert(kid, now, self.policy.absent);
        Some(fetch)
    }

    /// Takes the answer of the fetch `id`.
    ///
    /// # Errors
    /// [`FetchError`]; the keys before it stay until their hard expiry.
    pub fn fetched(
        &mut self,
        id: u64,
        answer: &Answer<'_>,
        limits: &Limits,
    ) -> Result<&JwkSet, FetchError> {
        let InFlight { since, .. } = self
            .in_flight
            .filter(|current| current.id == id)
            .ok_or(FetchError::Late)?;
        if let Err(error) = self.take(since, answer, limits) {
            self.failed(id);
            return Err(error);
        }
        self.in_flight = None;
        self.failures = 0;
        self.held
            .as_ref()
            .map(|held| &held.set)
            .ok_or(FetchError::NoUsableKey)
    }

    /// Notes that the fetch `id` had no answer.
    pub fn failed(&mut self, id: u64) {
        if let Some(current) = self.in_flight.filter(|current| current.id == id) {
            // Nobody knows yet whether the key was there.
            self.absent.forget(current.since);
            self.in_flight = None;
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Takes an answer that another instance got to what it asked for at `at`: it is as old here
    /// as it is there. Whoever waits for an answer of its own no longer does.
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::Late`] for one that is older than what is held.
    pub fn share(
        &mut self,
        at: i64,
        answer: &Answer<'_>,
        limits: &Limits,
    ) -> Result<&JwkSet, FetchError> {
        if self.held.as_ref().is_some_and(|held| held.fetched > at) {
            return Err(FetchError::Late);
        }
        self.take(at, answer, limits)?;
        self.in_flight = None;
        self.failures = 0;
        // The spreading by chance is another for each answer.
        self.fetches += 1;
        self.last_attempt = Some(at);
        self.held
            .as_ref()
            .map(|held| &held.set)
            .ok_or(FetchError::NoUsableKey)
    }

    /// When the set that is held was asked for, Unix time in seconds.
    pub fn fetched_at(&self) -> Option<i64> {
        self.held.as_ref().map(|held| held.fetched)
    }

    /// The keys, unless there are none or they are past their hard expiry.
    pub fn keys(&self, now: i64) -> Option<&JwkSet> {
        let held = self.held.as_ref()?;
        (now.saturating_sub(held.fetched) < self.policy.hard_expiry).then_some(&held.set)
    }

    /// When [`JwksSource::keys`] ends to give what it gives now, if it gives anything.
    pub fn expires(&self) -> Option<i64> {
        let held = self.held.as_ref()?;
        Some(held.fetched.saturating_add(self.policy.hard_expiry))
    }

    /// Counts the changes of the set, for caches of what it verified.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the last fetch that has ended failed: which keys the publisher has now is not known.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// The JWK set's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A copy that waits for no answer: it is the original that gets that.
    pub(super) fn adopted(&self) -> Self {
        Self {
            in_flight: None,
            ..self.clone()
        }
    }

    fn take(&mut self, now: i64, answer: &Answer<'_>, limits: &Limits) -> Result<(), FetchError> {
        let fresh = self.fresh(answer.cache_control);
        match (answer.status, &mut self.held) {
            (304, Some(held)) if held.etag.is_some() => {
                held.fetched = now;
                held.fresh = fresh;
                return Ok(());
            }
            (200, _) => {}
            (status, _) => return Err(FetchError::Status(status)),
        }
        let set = JwkSet::parse(answer.body, limits)?;
        if set.keys.is_empty() {
            return Err(FetchError::NoUsableKey);
        }
        if self.held.as_ref().is_none_or(|held| held.set != set) {
            self.generation += 1;
            // What another set did not have says little about this one.
            self.absent.clear();
        }
        self.held = Some(Held {
            set,
            etag: answer
                .etag
                .filter(|etag| (3..=256).contains(&etag.len()))
                .map(str::to_owned),
            fetched: now,
            fresh,
        });
        Ok(())
    }

    /// How long a set is fresh by the publisher's word (RFC 9111 section 5.2.2), within bounds.
    fn fresh(&self, cache_control: Option<&str>) -> i64 {
        let mut fresh = self.policy.fresh;
        for directive in cache_control.unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                fresh = 0;
            } else if name.eq_ignore_ascii_case("max-age")
                && let Ok(seconds) = value.trim().trim_matches('"').parse::<u32>()
            {
                fresh = fresh.min(seconds.into());
            }
        }
        let fresh = fresh.min(self.policy.fresh);
        let earlier = self.jitter(fresh);
        (fresh - earlier).max(self.policy.cooldown)
    }

    /// Least time between fetches now.
    fn cooldown(&self) -> i64 {
        // The first failure waits no longer than a success would.
        let doublings = self.failures.saturating_sub(1).min(16);
        let doubled = self.policy.cooldown.saturating_mul(1 << doublings);
        let wait = doubled.min(self.policy.fresh.max(self.policy.cooldown));
        match self.failures {
            0 => wait,
            _ => wait.saturating_add(self.jitter(wait)),
        }
    }

    /// A part of `time` up to the policy's percentage, the same until the next fetch (SplitMix64
    /// of the seed).
    fn jitter(&self, time: i64) -> i64 {
        let most = time.saturating_mul(self.policy.jitter.into()) / 100;
        let step = self.fetches.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = self.seed.wrapping_add(step);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = most.max(0).unsigned_abs().saturating_add(1);
        i64::try_from((z ^ (z >> 31)) % bound).unwrap_or(0)
    }

    fn start(&mut self, now: i64) -> Option<Fetch> {
        let since = |then: i64| now.saturating_sub(then);
        // A clock that went back must not stop fetching for good, hence the lower bounds.
        if let Some(current) = self.in_flight {
            if (0..self.policy.timeout).contains(&since(current.since)) {
                return None;
            }
            self.failed(current.id);
        }
        let cooldown = self.cooldown();
        if self
            .last_attempt
            .is_some_and(|then| (0..cooldown).contains(&since(then)))
        {
            return None;
        }
        self.fetches += 1;
        let id = self.fetches;
        self.in_flight = Some(InFlight { id, since: now });
        self.last_attempt = Some(now);
        Some(Fetch {
            id,
            url: self.url.clone(),
            etag: self.held.as_ref().and_then(|held| held.etag.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    const LIMITS: fn() -> Limits = Limits::default;

    const STEADY: RefreshPolicy = RefreshPolicy {
        fresh: 600,
        hard_expiry: 3600,
        cooldown: 30,
        timeout: 10,
        absent: 60,
        jitter: 0,
    };

    fn source() -> JwksSource {
        JwksSource::new("u", STEADY, 0)
    }

    fn ok(body: &[u8]) -> Answer<'_> {
        Answer {
            status: 200,
            body,
            ..Answer::default()
        }
    }

    fn status(status: u16) -> Answer<'static> {
        Answer {
            status,
            ..Answer::default()
        }
    }

    fn load(source: &mut JwksSource, now: i64) -> &JwkSet {
        let fetch = source.poll(now).unwrap();
        source.fetched(fetch.id, &ok(SET), &LIMITS()).unwrap()
    }

    #[test]
    fn an_answer_that_comes_late_changes_nothing() {
        let mut source = source();
        let slow = source.poll(0).unwrap();
        let next = source.poll(30).unwrap();
        assert_eq!(
            source.fetched(slow.id, &ok(SET), &LIMITS()),
            Err(FetchError::Late)
        );
        source.fetched(next.id, &ok(SET), &LIMITS()).unwrap();
        assert_eq!(
            source.fetched(next.id, &ok(SET), &LIMITS()),
            Err(FetchError::Late)
        );
        source.failed(slow.id);
        assert!(source.keys(3629).is_some());
        assert!(
            source.keys(3630).is_none(),
            "the age counts from the asking"
        );
    }

    #[test]
    fn keeps_the_last_good_set_until_its_hard_expiry() {
        let mut source = source();
        assert_eq!(load(&mut source, 0).keys.len(), 1);
        assert!(source.poll(599).is_none());
        let fetch = source.poll(600).unwrap();
        assert_eq!(
            source.fetched(fetch.id, &status(503), &LIMITS()),
            Err(FetchError::Status(503))
        );
        assert!(source.keys(3599).is_some());
        assert!(source.keys(3600).is_none());
    }

    #[test]
    fn jitter_cuts_freshness_and_lengthens_the_wait_after_failures() {
        let mut fresh = std::collections::BTreeSet::new();
        let mut waits = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut source = JwksSource::new("u", RefreshPolicy::default(), seed);
            load(&mut source, 0);
            fresh.insert((0..).find(|now| source.poll(*now).is_some()).unwrap());
            let mut source = JwksSource::new("u", RefreshPolicy::default(), seed);
            let fetch = source.poll(0).unwrap();
            source.failed(fetch.id);
            waits.insert((0..).find(|now| source.poll(*now).is_some()).unwrap());
        }
        assert!(fresh.len() > 30 && waits.len() == 4);
        assert_eq!((fresh.first(), fresh.last()), (Some(&540), Some(&600)));
        assert_eq!((waits.first(), waits.last()), (Some(&30), Some(&33)));
    }

    #[test]
    fn a_kid_that_was_not_there_causes_no_further_fetch_for_a_while() {
        let mut source = source();
        load(&mut source, 0);
        let fetch = source.unknown_kid("forged", 30).unwrap();
        source.fetched(fetch.id, &ok(SET), &LIMITS()).unwrap();
        assert!(source.unknown_kid("forged", 89).is_none());
        assert!(source.unknown_kid("other", 89).is_some());
        assert!(source.unknown_kid("forged", 119).is_some());
    }

    #[test]
    fn forged_kids_cannot_cause_a_storm() {
        let mut source = source();
        let fetches = (0..300)
            .filter(|now| {
                let fetch = source.unknown_kid(&now.to_string(), *now);
                if let Some(fetch) = &fetch {
                    source.fetched(fetch.id, &ok(SET), &LIMITS()).unwrap();
                }
                fetch.is_some()
            })
            .count();
        assert_eq!(fetches, 10);
    }

    #[test]
    fn failures_in_a_row_wait_longer_and_longer() {
        let mut source = source();
        let attempts: Vec<i64> = (0..4000)
            .filter(|now| {
                let fetch = source.poll(*now);
                if let Some(fetch) = &fetch {
                    source.failed(fetch.id);
                }
                fetch.is_some()
            })
            .collect();
        assert_eq!(
            attempts,
            [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330, 3930]
        );
        load(&mut source, 4530);
        assert!(
            source.unknown_kid("new", 4560).is_some(),
            "a success ends the waiting"
        );
    }

    #[test]
    fn an_empty_set_does_not_replace_keys() {
        let mut source = source();
        load(&mut source, 0);
        let fetch = source.unknown_kid("new", 30).unwrap();
        assert_eq!(
            source.fetched(fetch.id, &ok(br#"{"keys":[]}"#), &LIMITS()),
            Err(FetchError::NoUsableKey)
        );
        assert!(source.keys(31).is_some());
        assert_eq!(source.generation(), 1);
    }

    #[test]
    fn the_publisher_shortens_freshness_and_never_lengthens_it() {
        for (cache_control, fresh) in [
            (None, 600),
            (Some("public, max-age=300"), 300),
            (Some("Max-Age=\"120\""), 120),
            (Some("max-age=99999"), 600),
            (Some("max-age=1"), 30),
            (Some("max-age=-1"), 600),
            (Some("no-cache"), 30),
            (Some("no-store, max-age=300"), 30),
        ] {
            let mut source = source();
            let fetch = source.poll(0).unwrap();
            let answer = Answer {
                cache_control,
                ..ok(SET)
            };
            source.fetched(fetch.id, &answer, &LIMITS()).unwrap();
            assert!(source.poll(fresh - 1).is_none(), "{cache_control:?}");
            assert!(source.poll(fresh).is_some(), "{cache_control:?}");
        }
    }

    #[test]
    fn a_set_that_is_still_the_same_is_fresh_again() {
        let mut source = source();
        let answer = Answer {
            etag: Some("\"v1\""),
            ..ok(SET)
        };
        let fetch = source.poll(0).unwrap();
        assert_eq!(fetch.etag, None);
        source.fetched(fetch.id, &answer, &LIMITS()).unwrap();
        let fetch = source.poll(600).unwrap();
        assert_eq!(fetch.etag.as_deref(), Some("\"v1\""));
        let set = source.fetched(fetch.id, &status(304), &LIMITS()).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert!(source.keys(4199).is_some());
        assert!(source.keys(4200).is_none());
        assert_eq!(source.generation(), 1);
        // 304 to a request that named no tag says nothing about what is held.
        let mut source = self::source();
        load(&mut source, 0);
        let fetch = source.poll(600).unwrap();
        assert_eq!(
            source.fetched(fetch.id, &status(304), &LIMITS()),
            Err(FetchError::Status(304))
        );
    }
}

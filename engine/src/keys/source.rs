use thiserror::Error;

use crate::jose::{JwkError, JwkSet, Limits};

/// When a JWK set is fetched again, and how long it is trusted. All times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// A set younger than this is not fetched again without cause.
    pub fresh: i64,
    /// A set older than this verifies nothing.
    pub hard_expiry: i64,
    /// Least time between two fetches, whatever tokens with unknown `kid` arrive.
    pub cooldown: i64,
    /// How long to wait for the answer to a fetch before it counts as failed.
    pub timeout: i64,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            fresh: 600,
            hard_expiry: 3600,
            cooldown: 30,
            timeout: 10,
        }
    }
}

/// The effect asked of the shell: GET this URL and answer with [`JwksSource::fetched`] or
/// [`JwksSource::failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fetch {
    /// The JWK set's URL.
    pub url: String,
}

/// Why a fetched document was not taken over; the keys before it stay.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FetchError {
    /// Not a 200.
    #[error("JWK set answer has status {0}")]
    Status(u16),
    /// Not a JWK set.
    #[error(transparent)]
    Document(#[from] JwkError),
    /// No key of the set can verify.
    #[error("JWK set has no usable key")]
    NoUsableKey,
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
/// let mut source = JwksSource::new("https://issuer.example/jwks", RefreshPolicy::default());
/// assert!(source.poll(0).is_some());
/// assert!(source.poll(0).is_none(), "one fetch at a time");
/// source.failed(1);
/// assert!(source.unknown_kid(2).is_none(), "cooling down");
/// assert!(source.poll(40).is_some());
/// ```
#[derive(Clone, Debug)]
pub struct JwksSource {
    url: String,
    policy: RefreshPolicy,
    set: Option<(JwkSet, i64)>,
    in_flight_since: Option<i64>,
    last_attempt: Option<i64>,
    generation: u64,
}

impl JwksSource {
    /// A source without keys.
    pub fn new(url: impl Into<String>, policy: RefreshPolicy) -> Self {
        Self {
            url: url.into(),
            policy,
            set: None,
            in_flight_since: None,
            last_attempt: None,
            generation: 0,
        }
    }

    /// Whether to fetch because there are no keys or they are no longer fresh.
    pub fn poll(&mut self, now: i64) -> Option<Fetch> {
        let due = match &self.set {
            None => true,
            Some((_, fetched)) => now.saturating_sub(*fetched) >= self.policy.fresh,
        };
        if due { self.start(now) } else { None }
    }

    /// Whether to fetch because a token named a `kid` that is not in the set.
    pub fn unknown_kid(&mut self, now: i64) -> Option<Fetch> {
        self.start(now)
    }

    /// Takes the answer of a fetch.
    ///
    /// # Errors
    /// [`FetchError`]; the keys before it stay until their hard expiry.
    pub fn fetched(
        &mut self,
        now: i64,
        status: u16,
        body: &[u8],
        limits: &Limits,
    ) -> Result<&JwkSet, FetchError> {
        self.in_flight_since = None;
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let set = JwkSet::parse(body, limits)?;
        if set.keys.is_empty() {
            return Err(FetchError::NoUsableKey);
        }
        if self.set.as_ref().is_none_or(|(known, _)| *known != set) {
            self.generation += 1;
        }
        Ok(&self.set.insert((set, now)).0)
    }

    /// Notes that a fetch had no answer.
    pub fn failed(&mut self, _now: i64) {
        self.in_flight_since = None;
    }

    /// The keys, unless there are none or they are past their hard expiry.
    pub fn keys(&self, now: i64) -> Option<&JwkSet> {
        let (set, fetched) = self.set.as_ref()?;
        (now.saturating_sub(*fetched) < self.policy.hard_expiry).then_some(set)
    }

    /// Counts the changes of the set, for caches of what it verified.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The JWK set's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn start(&mut self, now: i64) -> Option<Fetch> {
        let since = |then: i64| now.saturating_sub(then);
        if self
            .in_flight_since
            .is_some_and(|then| since(then) < self.policy.timeout)
        {
            return None;
        }
        // A clock that went back must not stop fetching for good, hence the lower bound.
        if self
            .last_attempt
            .is_some_and(|then| (0..self.policy.cooldown).contains(&since(then)))
        {
            return None;
        }
        self.in_flight_since = Some(now);
        self.last_attempt = Some(now);
        Some(Fetch {
            url: self.url.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn source() -> JwksSource {
        JwksSource::new("u", RefreshPolicy::default())
    }

    #[test]
    fn keeps_the_last_good_set_until_its_hard_expiry() {
        let limits = Limits::default();
        let mut source = source();
        assert!(source.poll(0).is_some());
        assert_eq!(source.fetched(0, 200, SET, &limits).unwrap().keys.len(), 1);
        assert!(source.poll(599).is_none());
        assert!(source.poll(600).is_some());
        assert_eq!(
            source.fetched(601, 503, b"", &limits),
            Err(FetchError::Status(503))
        );
        assert!(source.keys(3599).is_some());
        assert!(source.keys(3600).is_none());
    }

    #[test]
    fn forged_kids_cannot_cause_a_storm() {
        let mut source = source();
        let fetches = (0..300)
            .filter(|now| {
                let fetch = source.unknown_kid(*now).is_some();
                source.failed(*now);
                fetch
            })
            .count();
        assert_eq!(fetches, 10);
    }

    #[test]
    fn an_empty_set_does_not_replace_keys() {
        let limits = Limits::default();
        let mut source = source();
        source.fetched(0, 200, SET, &limits).unwrap();
        assert_eq!(
            source.fetched(1, 200, br#"{"keys":[]}"#, &limits),
            Err(FetchError::NoUsableKey)
        );
        assert!(source.keys(2).is_some());
        assert_eq!(source.generation(), 1);
    }
}

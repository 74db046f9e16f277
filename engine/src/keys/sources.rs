use std::sync::Arc;

use super::{Answer, ExportedKeys, Fetch, FetchError, JwksSource, RefreshPolicy};
use crate::jose::{JwkSet, Limits, RejectedJwk};
use crate::verify::{KeyRing, SignatureProvider};

/// Where the keys of one issuer come from.
#[derive(Clone, Debug)]
pub struct IssuerSource {
    /// The issuer the keys are bound to.
    pub issuer: String,
    /// Its keys.
    pub origin: Origin,
}

/// Configured keys, or a place to fetch them from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Keys that stay until the configuration changes.
    Configured(JwkSet),
    /// A `jwks_uri`.
    Remote {
        /// The URL.
        url: String,
        /// When it is fetched.
        policy: RefreshPolicy,
    },
}

/// What a good answer brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The issuer.
    pub issuer: String,
    /// How many keys of the set can verify.
    pub keys: usize,
    /// The keys of the set that were left out.
    pub rejected: Vec<RejectedJwk>,
    /// Whether the ring is another than before.
    pub changed: bool,
}

/// The keys of several issuers: configured and fetched sets as one ring, each key bound to its
/// issuer. The shell carries out the fetches and answers them.
///
/// ```
/// use tokensmith_engine::jose::Limits;
/// use tokensmith_engine::keys::{Answer, IssuerSource, KeySources, Origin, RefreshPolicy};
/// use tokensmith_engine::verify::External;
///
/// let origin = Origin::Remote { url: "https://a.example/jwks".into(), policy: RefreshPolicy::default() };
/// let sources = [IssuerSource { issuer: "https://a.example".into(), origin }];
/// let mut keys = KeySources::new(sources, &External, 7);
/// let fetches = keys.poll(0);
/// let body = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let answer = Answer { status: 200, body, ..Answer::default() };
/// keys.fetched(fetches[0].id, &answer, &Limits::default(), &External).unwrap();
/// assert!(keys.ring(1).has_key("https://a.example", "a"));
/// ```
#[derive(Debug)]
pub struct KeySources {
    remotes: Vec<Remote>,
    ring: Arc<KeyRing>,
    epoch: u64,
    /// The first second at which some fetched set has to go.
    next_expiry: i64,
}

#[derive(Debug)]
struct Remote {
    issuer: String,
    source: JwksSource,
    /// Whether the ring has its keys.
    loaded: bool,
}

impl KeySources {
    /// Prepares the configured sets; nothing is fetched yet. `seed` as in [`JwksSource::new`].
    /// Each issuer is named once.
    pub fn new(
        issuers: impl IntoIterator<Item = IssuerSource>,
        provider: &dyn SignatureProvider,
        seed: u64,
    ) -> Self {
        let mut ring = KeyRing::default();
        let mut remotes = Vec::new();
        for (IssuerSource { issuer, origin }, own) in issuers.into_iter().zip(0_u64..) {
            match origin {
                Origin::Configured(set) => ring.insert(&issuer, &set, provider),
                Origin::Remote { url, policy } => remotes.push(Remote {
                    source: JwksSource::new(url, policy, seed.wrapping_add(own)),
                    issuer,
                    loaded: false,
                }),
            }
        }
        Self {
            remotes,
            ring: Arc::new(ring),
            epoch: 1,
            next_expiry: i64::MAX,
        }
    }

    /// The keys at `now` (Unix seconds): none that is past its hard expiry.
    pub fn ring(&mut self, now: i64) -> &Arc<KeyRing> {
        if now >= self.next_expiry {
            self.expire(now);
        }
        &self.ring
    }

    /// Counts the changes of the ring, for caches of what its keys verified.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether any set is fetched at all.
    pub fn has_remotes(&self) -> bool {
        !self.remotes.is_empty()
    }

    /// The issuers whose keys are not there at `now`: never fetched yet, or past their expiry.
    pub fn missing(&mut self, now: i64) -> impl Iterator<Item = &str> {
        self.ring(now);
        self.remotes
            .iter()
            .filter(|remote| !remote.loaded)
            .map(|remote| remote.issuer.as_str())
    }

    /// The fetches to make because keys are missing or no longer fresh.
    pub fn poll(&mut self, now: i64) -> Vec<Fetch> {
        let count = self.count();
        let fetches = self
            .remotes
            .iter_mut()
            .zip(0..)
            .filter_map(|(remote, index)| Some(numbered(remote.source.poll(now)?, index, count)))
            .collect();
        // A clock that went back has changed them.
        self.note_expiries();
        fetches
    }

    /// The fetch to make because a token of `issuer` named a `kid` that is not there.
    pub fn unknown_kid(&mut self, issuer: &str, kid: &str, now: i64) -> Option<Fetch> {
        let count = self.count();
        let (remote, index) = self
            .remotes
            .iter_mut()
            .zip(0..)
            .find(|(remote, _)| remote.issuer == issuer)?;
        Some(numbered(remote.source.unknown_kid(kid, now)?, index, count))
    }

    /// The issuer whose keys the fetch `id` is for.
    pub fn issuer_of(&self, id: u64) -> Option<&str> {
        let index = usize::try_from(id.checked_rem(self.count())?).ok()?;
        Some(&self.remotes.get(index)?.issuer)
    }

    /// Takes over what `former` has fetched of the same issuers from the same URLs and what is good
    /// at `now`, so that a configuration that changes elsewhere loses no keys. The answers that
    /// `former` waits for are not for this one.
    pub fn adopt(&mut self, former: &Self, now: i64, provider: &dyn SignatureProvider) {
        let mut adopted = Vec::new();
        for remote in &mut self.remotes {
            let own = former.remotes.iter().find(|own| {
                own.loaded && own.issuer == remote.issuer && own.source.url() == remote.source.url()
            });
            if let Some(own) = own
                && let Some(set) = own.source.keys(now)
            {
                adopted.push((remote.issuer.clone(), set.clone()));
                remote.source = own.source.adopted();
                remote.loaded = true;
            }
        }
        if !adopted.is_empty() {
            self.change(|ring| {
                for (issuer, set) in &adopted {
                    ring.insert(issuer, set, provider);
                }
            });
        }
        self.note_expiries();
    }

    /// What was fetched and is good at `now`, for [`KeySources::import`] in another process.
    pub fn export(&self, now: i64) -> Vec<ExportedKeys> {
        self.remotes
            .iter()
            .filter(|remote| remote.loaded)
            .filter_map(|remote| remote.source.export(&remote.issuer, now))
            .collect()
    }

    /// Takes over what was exported of the same issuers and URLs and is good at `now`, where
    /// nothing was fetched yet. Their age counts on: imported keys live no longer than others.
    /// Whoever can write `exported` chooses who is believed.
    ///
    /// Says how many issuers have keys by it.
    pub fn import(
        &mut self,
        exported: &[ExportedKeys],
        now: i64,
        limits: &Limits,
        provider: &dyn SignatureProvider,
    ) -> usize {
        let mut imported = Vec::new();
        for remote in self.remotes.iter_mut().filter(|remote| !remote.loaded) {
            let own = exported.iter().find(|own| own.issuer == remote.issuer);
            if let Some(own) = own
                && let Some(set) = remote.source.import(own, now, limits)
            {
                imported.push((remote.issuer.clone(), set.clone()));
                remote.loaded = true;
            }
        }
        if !imported.is_empty() {
            self.change(|ring| {
                for (issuer, set) in &imported {
                    ring.insert(issuer, set, provider);
                }
            });
        }
        self.note_expiries();
        imported.len()
    }

    /// Takes the answer of the fetch `id`.
    ///
    /// # Errors
    /// [`FetchError`]; the issuer's keys before it stay until their hard expiry.
    pub fn fetched(
        &mut self,
        id: u64,
        answer: &Answer<'_>,
        limits: &Limits,
        provider: &dyn SignatureProvider,
    ) -> Result<Loaded, FetchError> {
        let (remote, number) = self.remote(id).ok_or(FetchError::Late)?;
        let before = remote.source.generation();
        let set = remote.source.fetched(number, answer, limits)?.clone();
        let changed = !remote.loaded || remote.source.generation() != before;
        remote.loaded = true;
        let issuer = remote.issuer.clone();
        Ok(self.loaded(issuer, &set, changed, provider))
    }

    /// Takes an answer for `issuer` that another instance got to what it asked for at `at`, as
    /// [`JwksSource::share`].
    ///
    /// # Errors
    /// [`FetchError`]; [`FetchError::Late`] for an issuer whose keys are not fetched.
    pub fn share(
        &mut self,
        issuer: &str,
        at: i64,
        answer: &Answer<'_>,
        limits: &Limits,
        provider: &dyn SignatureProvider,
    ) -> Result<Loaded, FetchError> {
        let remote = self
            .remotes
            .iter_mut()
            .find(|remote| remote.issuer == issuer)
            .ok_or(FetchError::Late)?;
        let before = remote.source.generation();
        let set = remote.source.share(at, answer, limits)?.clone();
        let changed = !remote.loaded || remote.source.generation() != before;
        remote.loaded = true;
        let issuer = remote.issuer.clone();
        Ok(self.loaded(issuer, &set, changed, provider))
    }

    /// How old the fetched keys are at `now`, in seconds, by issuer; issuers without keys are
    /// left out.
    pub fn ages(&self, now: i64) -> impl Iterator<Item = (&str, i64)> {
        self.remotes
            .iter()
            .filter(|remote| remote.loaded)
            .filter_map(move |remote| {
                let age = now.saturating_sub(remote.source.fetched_at()?);
                Some((remote.issuer.as_str(), age))
            })
    }

    /// Notes that the fetch `id` had no answer.
    pub fn failed(&mut self, id: u64) {
        if let Some((remote, number)) = self.remote(id) {
            remote.source.failed(number);
        }
    }

    fn loaded(
        &mut self,
        issuer: String,
        set: &JwkSet,
        changed: bool,
        provider: &dyn SignatureProvider,
    ) -> Loaded {
        if changed {
            self.change(|ring| ring.insert(&issuer, set, provider));
        }
        self.note_expiries();
        Loaded {
            issuer,
            keys: set.keys.len(),
            rejected: set.rejected.clone(),
            changed,
        }
    }

    fn remote(&mut self, id: u64) -> Option<(&mut Remote, u64)> {
        let count = self.count();
        let index = usize::try_from(id.checked_rem(count)?).ok()?;
        Some((self.remotes.get_mut(index)?, id.checked_div(count)?))
    }

    fn count(&self) -> u64 {
        self.remotes.len() as u64
    }

    fn expire(&mut self, now: i64) {
        let expired: Vec<String> = self
            .remotes
            .iter_mut()
            .filter(|remote| remote.loaded && remote.source.keys(now).is_none())
            .map(|remote| {
                remote.loaded = false;
                remote.issuer.clone()
            })
            .collect();
        if !expired.is_empty() {
            self.change(|ring| expired.iter().for_each(|issuer| ring.remove(issuer)));
        }
        self.note_expiries();
    }

    fn change(&mut self, change: impl FnOnce(&mut KeyRing)) {
        let mut ring = (*self.ring).clone();
        change(&mut ring);
        self.ring = Arc::new(ring);
        self.epoch += 1;
    }

    fn note_expiries(&mut self) {
        self.next_expiry = self
            .remotes
            .iter()
            .filter(|remote| remote.loaded)
            .filter_map(|remote| remote.source.expires())
            .min()
            .unwrap_or(i64::MAX);
    }
}

/// Fetches of several sources under numbers that do not meet.
fn numbered(fetch: Fetch, index: u64, count: u64) -> Fetch {
    Fetch {
        id: fetch.id * count + index,
        ..fetch
    }
}

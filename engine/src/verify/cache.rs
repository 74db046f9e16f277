use std::sync::Arc;

use hashbrown::HashMap;
use siphasher::sip128::SipHasher24;

use super::VerifyError;

/// The keyed digest (SipHash-2-4, 128 bits) of a token's text, the only form in which a cache
/// keeps it.
///
/// Two tokens with one digest would share a verdict, and so the identity of the one that was
/// verified. Nobody can aim at that who does not hold the other token already: its signature is
/// as unknown as the cache's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest(u128);

/// What was found out about a token before.
#[derive(Clone, Debug)]
pub enum Cached<T> {
    /// It was verified; this was made of it.
    Verified(T),
    /// It was refused a short while ago.
    Refused(Arc<VerifyError>),
}

/// A bounded cache of what verification made of tokens.
///
/// Verified tokens are kept until they end, refused ones as long as
/// [`VerifyError::refused_until`] says, in a room of their own an eighth as large: forged tokens
/// push out no good ones. All entries end when keys or configuration change. The room is taken
/// once, so that a look-up allocates nothing.
///
/// ```
/// use tokensmith_engine::verify::{Cached, VerdictCache};
/// let mut cache = VerdictCache::new(100, [7; 16]);
/// let token = cache.digest("header.payload.signature");
/// cache.insert(token, "identity", 60);
/// assert!(matches!(cache.get(&token, 59), Some(Cached::Verified("identity"))));
/// assert!(cache.get(&token, 60).is_none());
/// ```
#[derive(Debug)]
pub struct VerdictCache<T> {
    verified: Generations<T>,
    refused: Generations<Refused>,
    epoch: u64,
    digester: SipHasher24,
}

impl<T: Clone> VerdictCache<T> {
    /// A cache of at most `entries` verified tokens; 0 turns it off. `key` is for the digests of
    /// tokens: random, as far as the caller has randomness.
    pub fn new(entries: usize, key: [u8; 16]) -> Self {
        Self {
            verified: Generations::new(entries),
            refused: Generations::new(entries.div_ceil(8)),
            epoch: 0,
            digester: SipHasher24::new_with_key(&key),
        }
    }

    /// What this cache knows `token` by.
    pub fn digest(&self, token: &str) -> TokenDigest {
        TokenDigest(self.digester.hash(token.as_bytes()).as_u128())
    }

    /// Whether anything is ever kept.
    pub fn is_enabled(&self) -> bool {
        self.verified.capacity > 0
    }

    /// Forgets everything when `epoch` is another than before: keys or configuration changed.
    pub fn enter_epoch(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.verified.clear();
            self.refused.clear();
        }
    }

    /// The epoch that was entered last.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was kept for `digest`, unless it ended at or before `now` (Unix seconds).
    pub fn get(&mut self, digest: &TokenDigest, now: i64) -> Option<Cached<T>> {
        if let Some(value) = self.verified.get(digest, now) {
            return Some(Cached::Verified(value));
        }
        let refused = self.refused.get(digest, now)?;
        // What was refused in the future was refused before the clock went back.
        (refused.since <= now).then_some(Cached::Refused(refused.error))
    }

    /// Keeps what was made of a verified token until `valid_until` (Unix seconds).
    pub fn insert(&mut self, digest: TokenDigest, value: T, valid_until: i64) {
        self.verified.insert(digest, value, valid_until);
    }

    /// Keeps why a token was refused at `now`, if that is worth keeping.
    pub fn refuse(&mut self, digest: TokenDigest, error: &Arc<VerifyError>, now: i64) {
        if let Some(until) = error.refused_until(now) {
            let refused = Refused {
                error: Arc::clone(error),
                since: now,
            };
            self.refused.insert(digest, refused, until);
        }
    }

    /// How many verified tokens are kept.
    pub fn len(&self) -> usize {
        self.verified.len()
    }

    /// Whether no verified token is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug)]
struct Refused {
    error: Arc<VerifyError>,
    since: i64,
}

/// Two generations: a look-up that hits the old one moves the entry to the young one; when the
/// young one is full it becomes the old one.
#[derive(Debug)]
struct Generations<T> {
    young: HashMap<TokenDigest, Entry<T>>,
    old: HashMap<TokenDigest, Entry<T>>,
    /// Of each generation.
    capacity: usize,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    valid_until: i64,
}

impl<T: Clone> Generations<T> {
    fn new(entries: usize) -> Self {
        let capacity = entries.div_ceil(2);
        Self {
            young: HashMap::with_capacity(capacity),
            old: HashMap::with_capacity(capacity),
            capacity,
        }
    }

    fn get(&mut self, digest: &TokenDigest, now: i64) -> Option<T> {
        if let Some(entry) = self.young.get(digest) {
            return (now < entry.valid_until).then(|| entry.value.clone());
        }
        if self.old.is_empty() {
            return None;
        }
        let entry = self.old.remove(digest)?;
        if now >= entry.valid_until {
            return None;
        }
        let value = entry.value.clone();
        self.put(*digest, entry);
        Some(value)
    }

    fn insert(&mut self, digest: TokenDigest, value: T, valid_until: i64) {
        if self.capacity > 0 {
            self.put(digest, Entry { value, valid_until });
        }
    }

    fn put(&mut self, digest: TokenDigest, entry: Entry<T>) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&digest) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(digest, entry);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [7; 16];

    #[test]
    fn is_bounded_and_keeps_what_is_used() {
        let mut cache = VerdictCache::new(10, KEY);
        let used = cache.digest("used");
        cache.insert(used, 0, 100);
        let room = cache.verified.young.capacity();
        let error = Arc::new(VerifyError::Signature);
        for number in 1..1000 {
            let token = cache.digest(&number.to_string());
            cache.insert(token, number, 100);
            let bad = cache.digest(&format!("bad {number}"));
            cache.refuse(bad, &error, 1);
            assert!(matches!(cache.get(&used, 1), Some(Cached::Verified(0))));
            assert!(cache.len() <= 10 && cache.refused.len() <= 2);
        }
        assert_eq!(cache.verified.young.capacity(), room);
    }

    #[test]
    fn ends_with_the_token_and_the_epoch() {
        let mut cache = VerdictCache::new(4, KEY);
        let digest = cache.digest("t");
        cache.insert(digest, 1, 10);
        assert!(cache.get(&digest, 9).is_some());
        assert!(cache.get(&digest, 10).is_none());
        cache.enter_epoch(1);
        assert!(cache.get(&digest, 9).is_none());
        let mut off = VerdictCache::new(0, KEY);
        off.insert(digest, 1, 10);
        off.refuse(digest, &Arc::new(VerifyError::Signature), 0);
        assert!(off.is_empty() && off.get(&digest, 0).is_none());
    }

    #[test]
    fn refusals_are_short_and_only_what_cannot_change() {
        use crate::claims::ClaimError;

        let mut cache: VerdictCache<()> = VerdictCache::new(16, KEY);
        for (error, kept) in [
            (VerifyError::Signature, true),
            (VerifyError::Claim(ClaimError::Expired), true),
            (VerifyError::Claim(ClaimError::NotYetValid), false),
            (VerifyError::KeysUnavailable(String::new()), false),
            (
                VerifyError::Binding(crate::binding::BindingError::ProofMissing),
                false,
            ),
        ] {
            let digest = cache.digest(&error.to_string());
            cache.refuse(digest, &Arc::new(error), 0);
            assert_eq!(cache.get(&digest, 9).is_some(), kept);
            assert!(cache.get(&digest, 10).is_none());
        }
    }

    #[test]
    fn digests_are_of_the_whole_token_and_the_key() {
        let cache: VerdictCache<()> = VerdictCache::new(1, KEY);
        let other: VerdictCache<()> = VerdictCache::new(1, [8; 16]);
        let tokens = ["", "a", "a.b.c", "a.b.d", "b.b.c"];
        for (index, token) in tokens.iter().enumerate() {
            assert_ne!(cache.digest(token), other.digest(token));
            for another in tokens.iter().skip(index + 1) {
                assert_ne!(cache.digest(token), cache.digest(another));
            }
        }
    }
}

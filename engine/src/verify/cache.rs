use hashbrown::HashMap;
use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of a token's text, the only form in which a cache keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Digests `token`.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// A bounded cache of what verification made of a token, in two generations: a lookup that hits
/// the old one moves the entry to the young one; when the young one is full it becomes the old
/// one. Entries end with their token, and all of them when keys or configuration change.
#[derive(Debug)]
pub struct VerifiedCache<T> {
    young: HashMap<TokenDigest, Entry<T>>,
    old: HashMap<TokenDigest, Entry<T>>,
    capacity: usize,
    epoch: u64,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    valid_until: i64,
}

impl<T: Clone> VerifiedCache<T> {
    /// A cache of at most `entries` tokens; 0 turns it off.
    pub fn new(entries: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            capacity: entries.div_ceil(2),
            epoch: 0,
        }
    }

    /// Whether anything is ever kept.
    pub fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    /// Forgets everything when `epoch` is another than before: keys or configuration changed.
    pub fn enter_epoch(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.young.clear();
            self.old.clear();
        }
    }

    /// What was kept for `digest`, unless it ended at or before `now` (Unix seconds).
    pub fn get(&mut self, digest: &TokenDigest, now: i64) -> Option<T> {
        if let Some(entry) = self.young.get(digest) {
            return (now < entry.valid_until).then(|| entry.value.clone());
        }
        let entry = self.old.remove(digest)?;
        if now >= entry.valid_until {
            return None;
        }
        let value = entry.value.clone();
        self.put(*digest, entry);
        Some(value)
    }

    /// Keeps `value` until `valid_until` (Unix seconds).
    pub fn insert(&mut self, digest: TokenDigest, value: T, valid_until: i64) {
        if self.is_enabled() {
            self.put(digest, Entry { value, valid_until });
        }
    }

    /// How many tokens are kept.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, digest: TokenDigest, entry: Entry<T>) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&digest) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(digest, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_keeps_what_is_used() {
        let mut cache = VerifiedCache::new(10);
        let used = TokenDigest::of("used");
        cache.insert(used, 0, 100);
        for number in 1..1000 {
            cache.insert(TokenDigest::of(&number.to_string()), number, 100);
            assert_eq!(cache.get(&used, 1), Some(0));
            assert!(cache.len() <= 10);
        }
    }

    #[test]
    fn ends_with_the_token_and_the_epoch() {
        let mut cache = VerifiedCache::new(4);
        let digest = TokenDigest::of("t");
        cache.insert(digest, 1, 10);
        assert_eq!(cache.get(&digest, 9), Some(1));
        assert_eq!(cache.get(&digest, 10), None);
        cache.enter_epoch(1);
        assert_eq!(cache.get(&digest, 9), None);
        let mut off = VerifiedCache::new(0);
        off.insert(digest, 1, 10);
        assert!(off.is_empty());
    }
}

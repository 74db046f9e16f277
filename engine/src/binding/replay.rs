use hashbrown::HashMap;

/// Names one proof: a digest of its key and `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey(pub(super) [u8; 32]);

impl ReplayKey {
    /// The digest, for stores outside the engine.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whether a proof was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Replay {
    /// It was not, and is remembered from now on.
    Fresh,
    /// It was.
    Seen,
    /// The store cannot tell: the proof is not accepted.
    Unknown,
}

/// Remembers proofs until they are too old to be accepted, in bounded memory.
///
/// A store that forgot early would accept a proof twice, so a full one says
/// [`Replay::Unknown`] until entries end. It knows only what it was asked: several processes
/// that accept proofs for the same target need a store they share.
///
/// ```
/// use tokensmith_engine::binding::ReplayCache;
/// let cache = ReplayCache::new(1000);
/// assert!(cache.is_empty());
/// ```
#[derive(Debug)]
pub struct ReplayCache {
    until: HashMap<ReplayKey, i64>,
    capacity: usize,
    /// No entry ends before this.
    next_end: i64,
    /// Entries that ended until then are gone, whatever the clock says later.
    forgotten_until: i64,
}

impl ReplayCache {
    /// A store of at most `entries` proofs.
    pub fn new(entries: usize) -> Self {
        Self {
            until: HashMap::new(),
            capacity: entries,
            next_end: i64::MAX,
            forgotten_until: i64::MIN,
        }
    }

    /// Whether the proof `key` was seen; remembers it until `ends` (Unix seconds).
    pub fn check(&mut self, key: ReplayKey, ends: i64, now: i64) -> Replay {
        if self.until.get(&key).is_some_and(|until| now < *until) {
            return Replay::Seen;
        }
        if ends <= self.forgotten_until {
            return Replay::Unknown;
        }
        if self.until.len() >= self.capacity {
            if now < self.next_end {
                return Replay::Unknown;
            }
            self.until.retain(|_, until| now < *until);
            self.forgotten_until = self.forgotten_until.max(now);
            self.next_end = self.until.values().copied().min().unwrap_or(i64::MAX);
            if self.until.len() >= self.capacity {
                return Replay::Unknown;
            }
        }
        self.next_end = self.next_end.min(ends);
        self.until.insert(key, ends);
        Replay::Fresh
    }

    /// How many proofs are remembered.
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ReplayKey {
        ReplayKey([number; 32])
    }

    #[test]
    fn a_full_store_never_forgets_early() {
        let mut cache = ReplayCache::new(2);
        assert_eq!(cache.check(key(1), 10, 0), Replay::Fresh);
        assert_eq!(cache.check(key(1), 10, 9), Replay::Seen);
        assert_eq!(cache.check(key(2), 20, 0), Replay::Fresh);
        assert_eq!(cache.check(key(3), 20, 9), Replay::Unknown);
        assert_eq!(cache.check(key(2), 20, 9), Replay::Seen);
        assert_eq!(cache.check(key(3), 20, 10), Replay::Fresh);
        assert_eq!(cache.len(), 2);
        // The clock goes back: what was forgotten is not fresh again.
        assert_eq!(cache.check(key(1), 10, 5), Replay::Unknown);
        assert_eq!(ReplayCache::new(0).check(key(1), 10, 0), Replay::Unknown);
    }
}

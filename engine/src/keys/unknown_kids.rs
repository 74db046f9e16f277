use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

/// More forged `kid`s at a time only mean that the cool-down alone bounds the fetches.
const ENTRIES: usize = 256;

/// The `kid`s that fetches were made for and did not bring, as digests: whoever forges them
/// chooses their length.
#[derive(Clone, Debug, Default)]
pub(super) struct UnknownKids(VecDeque<Asked>);

#[derive(Clone, Copy, Debug)]
struct Asked {
    kid: [u8; 32],
    at: i64,
}

impl UnknownKids {
    /// Whether a fetch was made for `kid` less than `seconds` before `now`.
    pub(super) fn has(&self, kid: &str, now: i64, seconds: i64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let kid = digest(kid);
        self.0
            .iter()
            .any(|asked| asked.kid == kid && asked.is_recent(now, seconds))
    }

    /// Notes that a fetch was made for `kid`; the oldest is forgotten when there are many.
    pub(super) fn insert(&mut self, kid: &str, now: i64, seconds: i64) {
        let kid = digest(kid);
        self.0
            .retain(|asked| asked.kid != kid && asked.is_recent(now, seconds));
        if self.0.len() >= ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(Asked { kid, at: now });
    }

    /// Forgets what was asked for at `at`.
    pub(super) fn forget(&mut self, at: i64) {
        self.0.retain(|asked| asked.at != at);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Asked {
    /// What was asked in the future was asked before the clock went back.
    fn is_recent(&self, now: i64, seconds: i64) -> bool {
        (0..seconds).contains(&now.saturating_sub(self.at))
    }
}

fn digest(kid: &str) -> [u8; 32] {
    Sha256::digest(kid.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_forgets() {
        let mut kids = UnknownKids::default();
        for number in 0..1000 {
            kids.insert(&number.to_string(), 0, 60);
        }
        assert_eq!(kids.0.len(), ENTRIES);
        assert!(kids.has("999", 59, 60));
        assert!(!kids.has("999", 60, 60));
        assert!(!kids.has("999", -1, 60), "the clock went back");
        assert!(!kids.has("1", 0, 60));
        kids.insert("new", 60, 60);
        assert_eq!(kids.0.len(), 1);
    }
}

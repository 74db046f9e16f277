use std::sync::Arc;

use super::Identity;
use crate::binding::ReplayCache;
use crate::verify::VerdictCache;

/// What a decider remembers from one request to the next, in bounded memory.
#[derive(Debug)]
pub struct Memory {
    /// Tokens seen.
    pub tokens: VerdictCache<Arc<Identity>>,
    /// DPoP proofs used.
    pub proofs: ReplayCache,
}

impl Memory {
    /// Proofs remembered; each request with a proof is one for two minutes.
    const PROOFS: usize = 65_536;

    /// Room for at most `tokens` verified tokens; 0 remembers none. `key` is random, as far as the
    /// caller has randomness, for [`VerdictCache::new`].
    pub fn new(tokens: usize, key: [u8; 16]) -> Self {
        Self {
            tokens: VerdictCache::new(tokens, key),
            proofs: ReplayCache::new(Self::PROOFS),
        }
    }
}

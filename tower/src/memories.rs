use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokensmith_engine::decide::Memory;

/// Enough that a few dozen threads seldom meet.
const SHARDS: usize = 16;

/// What deciders remember, in parts that are locked apart.
#[derive(Debug)]
pub(crate) struct Memories {
    /// The one part that knows the proofs which were used.
    proofs: Mutex<Memory>,
    tokens: Box<[Mutex<Memory>]>,
}

/// Which part a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of requests with a proof.
    Proofs,
    /// Any, and the same one for the same token where that is free.
    Token(usize),
}

impl Memories {
    /// Room for about `tokens` tokens in all; 0 remembers none.
    pub(crate) fn new(tokens: usize) -> Self {
        let each = tokens.div_ceil(SHARDS);
        let part = || Mutex::new(Memory::new(each, random_key()));
        Self {
            proofs: part(),
            tokens: (1..SHARDS).map(|_| part()).collect(),
        }
    }

    /// The part of a place.
    pub(crate) fn lock(&self, place: Place) -> MutexGuard<'_, Memory> {
        let Place::Token(number) = place else {
            return locked(&self.proofs);
        };
        if let Ok(memory) = self.shard(number).try_lock() {
            return memory;
        }
        // A token that many send at once is remembered twice.
        locked(self.shard(number.wrapping_add(SHARDS / 2)))
    }

    fn shard(&self, number: usize) -> &Mutex<Memory> {
        self.tokens
            .get(number % (SHARDS - 1))
            .unwrap_or(&self.proofs)
    }
}

/// Another one each time, and nobody else's to guess.
fn random_key() -> [u8; 16] {
    let state = RandomState::new();
    let halves = [state.hash_one(0_u8), state.hash_one(1_u8)];
    let mut key = [0; 16];
    for (byte, random) in key
        .iter_mut()
        .zip(halves.iter().flat_map(|half| half.to_ne_bytes()))
    {
        *byte = random;
    }
    key
}

fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// Of a request with these headers.
    pub(crate) fn of(authorization: Option<&str>, dpop: Option<&str>) -> Self {
        if dpop.is_some() {
            return Self::Proofs;
        }
        // Signatures end at random, and this needs no better hash.
        let tail = authorization
            .unwrap_or_default()
            .bytes()
            .rev()
            .take(8)
            .fold(0_usize, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(usize::from(byte))
            });
        Self::Token(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_have_one_place_whatever_the_token() {
        for token in [None, Some("DPoP a"), Some("Bearer b")] {
            assert_eq!(Place::of(token, Some("proof")), Place::Proofs);
            assert_ne!(Place::of(token, None), Place::Proofs);
        }
        assert_eq!(
            Place::of(Some("Bearer abcdefgh"), None),
            Place::of(Some("bearer  abcdefgh"), None)
        );
    }

    #[test]
    fn a_part_in_use_makes_nobody_wait() {
        let memories = Memories::new(100);
        let first = memories.lock(Place::Token(3));
        let second = memories.lock(Place::Token(3));
        assert_eq!(first.tokens.len(), second.tokens.len());
    }
}

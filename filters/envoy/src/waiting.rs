use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokensmith_engine::decide::KeyWait;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing is decided: no byte of it may go on.
    Undecided,
    /// It is handed on.
    Passed,
    /// It has an answer.
    Answered,
}

/// The requests that wait for the first keys or the first policy, by their context's number.
#[derive(Debug)]
pub(crate) struct Waiting {
    limit: usize,
    timeout_ms: i64,
    paused: BTreeMap<u32, Paused>,
}

/// A request that waits.
#[derive(Debug)]
struct Paused {
    /// Read by the request's own context.
    phase: Rc<Cell<Phase>>,
    until_ms: i64,
}

impl Waiting {
    pub(crate) fn new(config: &KeyWait) -> Self {
        Self {
            limit: config.requests,
            timeout_ms: i64::try_from(config.timeout_ms).unwrap_or(i64::MAX),
            paused: BTreeMap::new(),
        }
    }

    /// Lets request `id` wait from `now_ms` on; `None` where there is no room for it.
    pub(crate) fn enter(&mut self, id: u32, now_ms: i64) -> Option<Rc<Cell<Phase>>> {
        if !self.has_room() {
            return None;
        }
        let phase = Rc::new(Cell::new(Phase::Undecided));
        let paused = Paused {
            phase: Rc::clone(&phase),
            until_ms: now_ms.saturating_add(self.timeout_ms),
        };
        self.paused.insert(id, paused);
        Some(phase)
    }

    pub(crate) fn has_room(&self) -> bool {
        self.paused.len() < self.limit && self.timeout_ms > 0
    }

    /// Forgets request `id`.
    pub(crate) fn leave(&mut self, id: u32) {
        self.paused.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.paused.len()
    }

    /// Whether request `id` has waited long enough, or is not known.
    pub(crate) fn is_over(&self, id: u32, now_ms: i64) -> bool {
        self.paused
            .get(&id)
            .is_none_or(|paused| now_ms >= paused.until_ms)
    }

    /// The requests to decide anew: all of them, or those that have waited long enough.
    pub(crate) fn due(&self, all: bool, now_ms: i64) -> Vec<u32> {
        self.paused
            .iter()
            .filter(|(_, paused)| all || now_ms >= paused.until_ms)
            .map(|(id, _)| *id)
            .collect()
    }

    /// Takes request `id` out, as `phase`.
    pub(crate) fn end(&mut self, id: u32, phase: Phase) {
        if let Some(paused) = self.paused.remove(&id) {
            paused.phase.set(phase);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(requests: usize, timeout_ms: u64) -> Waiting {
        Waiting::new(&KeyWait {
            requests,
            timeout_ms,
        })
    }

    #[test]
    fn is_bounded_in_number_and_time() {
        let mut waiting = waiting(2, 100);
        let first = waiting.enter(7, 0).unwrap();
        assert!(waiting.enter(8, 50).is_some());
        assert!(waiting.enter(9, 50).is_none(), "there is room for two");
        assert_eq!(waiting.due(true, 0), [7, 8]);
        assert!(waiting.due(false, 99).is_empty());
        assert_eq!(waiting.due(false, 100), [7]);
        assert!(waiting.is_over(7, 100) && !waiting.is_over(8, 100));
        assert_eq!(first.get(), Phase::Undecided);
        waiting.end(7, Phase::Passed);
        assert_eq!((first.get(), waiting.len()), (Phase::Passed, 1));
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut waiting = waiting(1, 100);
        waiting.enter(7, 0).unwrap();
        waiting.leave(7);
        waiting.end(7, Phase::Answered);
        assert_eq!(waiting.len(), 0);
        assert!(waiting.is_over(7, 0), "it is not known");
        assert!(waiting.enter(8, 0).is_some());
    }

    #[test]
    fn may_be_turned_off() {
        assert!(waiting(0, 100).enter(1, 0).is_none());
        assert!(waiting(1, 0).enter(1, 0).is_none());
    }
}

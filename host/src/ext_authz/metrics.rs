use std::sync::atomic::{AtomicU64, Ordering};

use tokensmith_engine::decide::Outcome;

/// What external authorization counts.
#[derive(Debug, Default)]
pub struct ExtAuthzMetrics {
    allowed: AtomicU64,
    shadowed: AtomicU64,
    bad_request: AtomicU64,
    unauthenticated: AtomicU64,
    forbidden: AtomicU64,
    unavailable: AtomicU64,
    failed: AtomicU64,
    fetches: AtomicU64,
    failed_fetches: AtomicU64,
    loads: AtomicU64,
    failed_loads: AtomicU64,
}

/// The counters at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Decisions by outcome: a label's value, and how many.
    pub decisions: [(&'static str, u64); 7],
    /// Fetches of keys that brought some, or said that they have not changed.
    pub fetches: u64,
    /// Fetches of keys that failed.
    pub failed_fetches: u64,
    /// Configurations taken into use, the first included.
    pub loads: u64,
    /// Configurations that were refused.
    pub failed_loads: u64,
}

impl ExtAuthzMetrics {
    /// The counters now.
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            decisions: [
                ("allowed", get(&self.allowed)),
                ("shadowed", get(&self.shadowed)),
                ("bad_request", get(&self.bad_request)),
                ("unauthenticated", get(&self.unauthenticated)),
                ("forbidden", get(&self.forbidden)),
                ("unavailable", get(&self.unavailable)),
                ("failed", get(&self.failed)),
            ],
            fetches: get(&self.fetches),
            failed_fetches: get(&self.failed_fetches),
            loads: get(&self.loads),
            failed_loads: get(&self.failed_loads),
        }
    }

    pub(super) fn decided(&self, outcome: &Outcome<'_>) {
        match &outcome.denial {
            Some(denial) => self.denied(denial.status),
            None if outcome.record.decision == "allow" => increment(&self.allowed),
            None => increment(&self.shadowed),
        }
    }

    pub(super) fn denied(&self, status: u16) {
        increment(match status {
            400 => &self.bad_request,
            401 => &self.unauthenticated,
            403 => &self.forbidden,
            503 => &self.unavailable,
            _ => &self.failed,
        });
    }

    pub(super) fn fetched(&self, good: bool) {
        increment(if good {
            &self.fetches
        } else {
            &self.failed_fetches
        });
    }

    pub(super) fn loaded(&self, good: bool) {
        increment(if good {
            &self.loads
        } else {
            &self.failed_loads
        });
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

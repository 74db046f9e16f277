use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokensmith_engine::decide::Outcome;

/// What the layers count.
#[derive(Debug, Default)]
pub struct Metrics {
    allowed: AtomicU64,
    shadowed: AtomicU64,
    bad_request: AtomicU64,
    unauthenticated: AtomicU64,
    forbidden: AtomicU64,
    unavailable: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
    shadow_differed: AtomicU64,
    fetches: AtomicU64,
    failed_fetches: AtomicU64,
    policy_loads: AtomicU64,
    failed_policy_loads: AtomicU64,
    /// Refused tokens by the code of the error.
    refused_tokens: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counters at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Decisions by outcome: a label's value, and how many.
    pub decisions: [(&'static str, u64); 7],
    /// Refused tokens by the code of the error (docs/errors.md).
    pub refused_tokens: BTreeMap<&'static str, u64>,
    /// Requests that waited for the first keys or policy.
    pub waited: u64,
    /// Decisions that the shadow policy would have made otherwise.
    pub shadow_differed: u64,
    /// Fetches of keys that brought some, or said that they have not changed.
    pub fetches: u64,
    /// Fetches of keys that failed.
    pub failed_fetches: u64,
    /// Policies taken into use after the first.
    pub policy_loads: u64,
    /// Policies that were not.
    pub failed_policy_loads: u64,
}

impl Metrics {
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
            refused_tokens: self
                .refused_tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            waited: get(&self.waited),
            shadow_differed: get(&self.shadow_differed),
            fetches: get(&self.fetches),
            failed_fetches: get(&self.failed_fetches),
            policy_loads: get(&self.policy_loads),
            failed_policy_loads: get(&self.failed_policy_loads),
        }
    }

    pub(crate) fn decided(&self, outcome: &Outcome<'_>) {
        match &outcome.denial {
            Some(denial) => increment(match denial.status {
                400 => &self.bad_request,
                401 => &self.unauthenticated,
                403 => &self.forbidden,
                503 => &self.unavailable,
                _ => &self.failed,
            }),
            None if outcome.record.decision == "allow" => increment(&self.allowed),
            None => increment(&self.shadowed),
        }
        if outcome.shadow_differs() {
            increment(&self.shadow_differed);
        }
        if let Some(code) = outcome.record.error {
            let mut refused = self
                .refused_tokens
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *refused.entry(code).or_default() += 1;
        }
    }

    pub(crate) fn waited(&self) {
        increment(&self.waited);
    }

    pub(crate) fn fetched(&self, good: bool) {
        increment(if good {
            &self.fetches
        } else {
            &self.failed_fetches
        });
    }

    pub(crate) fn policy_loaded(&self, good: bool) {
        increment(if good {
            &self.policy_loads
        } else {
            &self.failed_policy_loads
        });
    }
}

impl Counts {
    /// The media type of [`Counts::to_prometheus`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// In the text format of Prometheus. No label holds what a caller sent.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let by_label = [
            (
                "tokensmith_tower_decisions_total",
                "Decisions, by outcome.",
                "outcome",
                self.decisions.to_vec(),
            ),
            (
                "tokensmith_tower_refused_tokens_total",
                "Refused tokens, by the code of the error.",
                "code",
                self.refused_tokens
                    .iter()
                    .map(|(code, count)| (*code, *count))
                    .collect(),
            ),
            (
                "tokensmith_tower_fetches_total",
                "Fetches of issuers' keys, by outcome.",
                "outcome",
                vec![("ok", self.fetches), ("failed", self.failed_fetches)],
            ),
            (
                "tokensmith_tower_policy_loads_total",
                "Policies after the first, by outcome.",
                "outcome",
                vec![
                    ("ok", self.policy_loads),
                    ("failed", self.failed_policy_loads),
                ],
            ),
        ];
        for (name, help, label, samples) in by_label {
            family(&mut text, name, help);
            for (value, count) in samples {
                text.push_str(&format!("{name}{{{label}=\"{value}\"}} {count}\n"));
            }
        }
        for (name, help, count) in [
            (
                "tokensmith_tower_waited_total",
                "Requests that waited for the first keys or policy.",
                self.waited,
            ),
            (
                "tokensmith_tower_shadow_differences_total",
                "Decisions that the shadow policy would have made otherwise.",
                self.shadow_differed,
            ),
        ] {
            family(&mut text, name, help);
            text.push_str(&format!("{name} {count}\n"));
        }
        text
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n"));
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition() {
        let metrics = Metrics::default();
        metrics.fetched(true);
        metrics.fetched(false);
        metrics.waited();
        let text = metrics.counts().to_prometheus();
        for line in [
            "# TYPE tokensmith_tower_decisions_total counter",
            "tokensmith_tower_decisions_total{outcome=\"allowed\"} 0",
            "tokensmith_tower_fetches_total{outcome=\"ok\"} 1",
            "tokensmith_tower_fetches_total{outcome=\"failed\"} 1",
            "tokensmith_tower_waited_total 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }
}

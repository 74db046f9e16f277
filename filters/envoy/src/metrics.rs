use std::collections::HashMap;
use std::sync::Arc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use tokensmith_engine::decide::{DecisionRecord, MatchedRule, Outcome};

use crate::counter::{Counter, Gauge, set_gauge};
use crate::metric_name::{named, value};

/// Most rules with a counter of their own; all others share one.
const RULES: usize = 256;
/// Most combinations of other label values; there are far fewer.
const LABELS: usize = 512;
/// Milliseconds from one hand-over to Envoy to the next.
const PERIOD_MS: i64 = 1_000;

/// What the filter counts. Requests only add to numbers in the module's own memory; Envoy gets
/// them once a second, so that counting costs requests no host call.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    decisions: Vec<(Decision, Counter)>,
    failures: Vec<(&'static str, Counter)>,
    errors: Vec<((&'static str, &'static str), Counter)>,
    shadow: Vec<((&'static str, &'static str), Counter)>,
    rules: HashMap<(Arc<str>, u32, &'static str), Counter>,
    other_rules: Counter,
    fetches: HashMap<String, Counter>,
    cache_hits: Counter,
    cache_misses: Counter,
    paused: Counter,
    resumed: Counter,
    timed_out: Counter,
    turned_away: Counter,
    shared: Counter,
    waiting: Gauge,
    ages: HashMap<String, u32>,
    policy: Option<(String, u32)>,
    handed_over_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    decision: &'static str,
    reason: &'static str,
    mode: &'static str,
}

impl Metrics {
    /// Lets Envoy know of the counters that are always there, with the value 0.
    pub(crate) fn define(&mut self) {
        self.each_fixed(|counter, name| counter.define(&name));
        let allowed = Decision {
            decision: "allow",
            reason: "",
            mode: "enforce",
        };
        if let Some(counter) = entry(&mut self.decisions, allowed) {
            counter.define(&decision_name(allowed));
        }
        self.waiting.define();
    }

    /// Counts one decision. `checks` signatures of tokens were checked for it.
    pub(crate) fn decided(&mut self, outcome: &Outcome<'_>, checks: usize) {
        let record = &outcome.record;
        let decision = Decision {
            decision: record.decision,
            reason: record.reason,
            mode: record.mode,
        };
        if let Some(counter) = entry(&mut self.decisions, decision) {
            counter.add();
        }
        if checks > 0 {
            self.cache_misses.add();
        } else if outcome.identity.is_some() {
            self.cache_hits.add();
        }
        for rule in &record.matched_rules {
            self.rule(rule, record.decision);
        }
        if record.decision != "allow" {
            self.refused(record);
        }
        if outcome.shadow_differs()
            && let Some(shadow) = &record.shadow
        {
            let key = (record.decision, shadow.decision);
            if let Some(counter) = entry(&mut self.shadow, key) {
                counter.add();
            }
        }
    }

    pub(crate) fn jwks_fetched(&mut self, issuer: &str, good: bool) {
        let labels = [("result", result(good)), ("issuer", issuer)];
        self.fetched(named("tokensmith_jwks_fetches_total", &labels));
    }

    pub(crate) fn bundle_fetched(&mut self, name: &'static str, good: bool) {
        let labels = [("result", result(good)), ("policy", name)];
        self.fetched(named("tokensmith_bundle_fetches_total", &labels));
    }

    /// Counts a document that another worker had fetched.
    pub(crate) fn jwks_shared(&mut self) {
        self.shared.add();
    }

    pub(crate) fn paused(&mut self) {
        self.paused.add();
    }

    pub(crate) fn resumed(&mut self) {
        self.resumed.add();
    }

    pub(crate) fn timed_out(&mut self) {
        self.timed_out.add();
    }

    pub(crate) fn turned_away(&mut self) {
        self.turned_away.add();
    }

    /// Says which policy is in use: 1 for it, 0 for the one before. There is none with an empty
    /// version.
    pub(crate) fn policy(&mut self, version: &str) {
        if self.policy.as_ref().is_some_and(|(own, _)| own == version) {
            return;
        }
        if let Some((_, id)) = self.policy.take() {
            set_gauge(id, 0);
        }
        if version.is_empty() {
            return;
        }
        let name = named("tokensmith_policy_info", &[("policy_version", version)]);
        if let Ok(id) = hostcalls::define_metric(MetricType::Gauge, &name) {
            set_gauge(id, 1);
            self.policy = Some((version.to_owned(), id));
        }
    }

    /// Whether it is time to hand the numbers over.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.handed_over_ms
            .is_none_or(|then| !(0..PERIOD_MS).contains(&now_ms.saturating_sub(then)))
    }

    /// Hands the numbers to Envoy.
    pub(crate) fn hand_over<'k>(
        &mut self,
        now_ms: i64,
        waiting: usize,
        ages: impl Iterator<Item = (&'k str, i64)>,
    ) {
        self.handed_over_ms = Some(now_ms);
        self.each_fixed(|counter, name| counter.hand_over(&name));
        for (key, counter) in &mut self.decisions {
            counter.hand_over_as(|| decision_name(*key));
        }
        for (code, counter) in &mut self.failures {
            counter.hand_over_as(|| named("authn_failures_total", &[("code", *code)]));
        }
        for ((stage, mode), counter) in &mut self.errors {
            let labels = [("stage", *stage), ("mode", *mode)];
            counter.hand_over_as(|| named("authz_errors_total", &labels));
        }
        for ((enforced, shadow), counter) in &mut self.shadow {
            let labels = [("enforced", *enforced), ("shadow", *shadow)];
            counter.hand_over_as(|| named("tokensmith_shadow_disagreements_total", &labels));
        }
        for ((source, line, decision), counter) in &mut self.rules {
            counter.hand_over_as(|| {
                let rule = format!("{source}:{line}");
                let labels = [("rule", rule.as_str()), ("decision", *decision)];
                named("tokensmith_rule_decisions_total", &labels)
            });
        }
        for (name, counter) in &mut self.fetches {
            counter.hand_over(name);
        }
        self.waiting.tell(waiting);
        for (issuer, age) in ages {
            self.age(issuer, age);
        }
    }

    fn each_fixed(&mut self, mut each: impl FnMut(&mut Counter, String)) {
        let cache = |result: &str| named("tokensmith_verdict_cache_total", &[("result", result)]);
        let paused = |result: &str| named("tokensmith_key_wait_total", &[("result", result)]);
        each(&mut self.cache_hits, cache("hit"));
        each(&mut self.cache_misses, cache("miss"));
        each(&mut self.paused, paused("paused"));
        each(&mut self.resumed, paused("resumed"));
        each(&mut self.timed_out, paused("timeout"));
        each(&mut self.turned_away, paused("turned_away"));
        each(&mut self.shared, named("tokensmith_jwks_shared_total", &[]));
        let others = [("rule", "other"), ("decision", "any")];
        each(
            &mut self.other_rules,
            named("tokensmith_rule_decisions_total", &others),
        );
    }

    fn refused(&mut self, record: &DecisionRecord<'_>) {
        let failure = match (record.error, record.reason) {
            (Some(code), _) => Some(code),
            (None, "no_principal") => Some("token_missing"),
            (None, _) => None,
        };
        if let Some(code) = failure
            && let Some(counter) = entry(&mut self.failures, code)
        {
            counter.add();
        }
        if record.decision == "error"
            && let Some(counter) = entry(&mut self.errors, (record.reason, record.mode))
        {
            counter.add();
        }
    }

    fn rule(&mut self, rule: &MatchedRule, decision: &'static str) {
        let key = (Arc::clone(&rule.source), rule.line, decision);
        if let Some(counter) = self.rules.get_mut(&key) {
            counter.add();
        } else if self.rules.len() < RULES {
            self.rules.entry(key).or_default().add();
        } else {
            self.other_rules.add();
        }
    }

    fn fetched(&mut self, name: String) {
        if self.fetches.len() < LABELS || self.fetches.contains_key(&name) {
            self.fetches.entry(name).or_default().add();
        }
    }

    fn age(&mut self, issuer: &str, age: i64) {
        let id = match self.ages.get(issuer) {
            Some(id) => *id,
            None => {
                let name = named("tokensmith_jwks_age_seconds", &[("issuer", issuer)]);
                let Ok(id) = hostcalls::define_metric(MetricType::Gauge, &name) else {
                    return;
                };
                self.ages.insert(issuer.to_owned(), id);
                id
            }
        };
        set_gauge(id, u64::try_from(age).unwrap_or(0));
    }
}

/// The counter of `key`, a new one if there is room.
fn entry<K: Copy + PartialEq>(counters: &mut Vec<(K, Counter)>, key: K) -> Option<&mut Counter> {
    let index = counters.iter().position(|(own, _)| *own == key);
    let index = match index {
        Some(index) => index,
        None if counters.len() < LABELS => {
            counters.push((key, Counter::default()));
            counters.len() - 1
        }
        None => return None,
    };
    counters.get_mut(index).map(|(_, counter)| counter)
}

fn decision_name(key: Decision) -> String {
    let labels = [
        ("decision", key.decision),
        ("reason", value(key.reason)),
        ("mode", key.mode),
    ];
    named("authz_decisions_total", &labels)
}

fn result(good: bool) -> &'static str {
    if good { "success" } else { "failure" }
}

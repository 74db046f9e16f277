//! Counters and histograms, and how they are told to Prometheus. Label sets are bounded: no label
//! has a value that a caller chose.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::telemetry::StoreSpan;

/// Upper bounds of a histogram's buckets in microseconds.
const BOUNDS: [u64; 13] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// What the service counts.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Family<(&'static str, &'static str, u16), AtomicU64>,
    durations: Family<&'static str, Histogram>,
    issuances: Family<(&'static str, &'static str), AtomicU64>,
    store: Family<&'static str, Histogram>,
}

/// Measures, and traces, until it is dropped.
#[must_use = "it measures until it is dropped"]
pub(super) struct StoreTimer<'m> {
    metrics: &'m Metrics,
    operation: &'static str,
    started: Instant,
    span: StoreSpan,
}

impl Metrics {
    /// A request was answered.
    pub(super) fn request(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        duration: Duration,
    ) {
        self.requests.change((route, method, status), increment);
        self.durations.change(route, |one| one.observe(duration));
    }

    /// A token was asked for; `outcome` is `issued` or a code.
    pub(super) fn issuance(&self, grant: &'static str, outcome: &'static str) {
        self.issuances.change((grant, outcome), increment);
    }

    /// Measures an operation of the store, signing included where it signs.
    pub(super) fn store_timer(&self, operation: &'static str) -> StoreTimer<'_> {
        StoreTimer {
            metrics: self,
            operation,
            started: Instant::now(),
            span: StoreSpan::start(operation),
        }
    }

    /// Writes all of it.
    pub(super) fn write(&self, exposition: &mut Exposition) {
        exposition.family(
            "tokensmith_http_requests_total",
            "counter",
            "Requests answered.",
        );
        self.requests.each(|(route, method, status), count| {
            let status = status.to_string();
            let labels = [
                ("route", *route),
                ("method", *method),
                ("status", status.as_str()),
            ];
            exposition.sample("tokensmith_http_requests_total", &labels, load(count));
        });
        let name = "tokensmith_http_request_duration_seconds";
        exposition.family(name, "histogram", "Time to answer a request.");
        self.durations
            .each(|route, histogram| exposition.histogram(name, ("route", *route), histogram));
        exposition.family(
            "tokensmith_token_issuances_total",
            "counter",
            "Tokens asked for, by grant and outcome.",
        );
        self.issuances.each(|(grant, outcome), count| {
            let labels = [("grant", *grant), ("outcome", *outcome)];
            exposition.sample("tokensmith_token_issuances_total", &labels, load(count));
        });
        let name = "tokensmith_store_operation_duration_seconds";
        exposition.family(name, "histogram", "Time of an operation of the store.");
        self.store.each(|operation, histogram| {
            exposition.histogram(name, ("operation", *operation), histogram);
        });
    }
}

impl Drop for StoreTimer<'_> {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        self.metrics
            .store
            .change(self.operation, |one| one.observe(duration));
        self.span.end();
    }
}

/// Metrics of one name, by their labels. Only the first with new labels waits for the others.
#[derive(Debug)]
struct Family<K, M>(RwLock<BTreeMap<K, M>>);

impl<K, M> Default for Family<K, M> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Ord, M: Default> Family<K, M> {
    fn change(&self, key: K, change: impl Fn(&M)) {
        {
            let members = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(member) = members.get(&key) {
                change(member);
                return;
            }
        }
        let mut members = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let member: &M = members.entry(key).or_default();
        change(member);
    }

    fn each(&self, mut tell: impl FnMut(&K, &M)) {
        let members = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for (key, member) in members.iter() {
            tell(key, member);
        }
    }
}

/// How often a duration was at most each of [`BOUNDS`] and more than the one before.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    above: AtomicU64,
    sum_micros: AtomicU64,
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound);
        increment(
            bucket
                .and_then(|index| self.buckets.get(index))
                .unwrap_or(&self.above),
        );
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// A text in the exposition format 0.0.4.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Its media type.
    pub(super) const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins the metrics of one name.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels = label_text(labels);
        self.line(format_args!("{name}{labels} {value}"));
    }

    /// A name with one value and no labels.
    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn histogram(&mut self, name: &str, label: (&str, &str), histogram: &Histogram) {
        let buckets = format!("{name}_bucket");
        let mut count = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&histogram.buckets) {
            count += load(bucket);
            let bound = seconds(*bound).to_string();
            self.sample(&buckets, &[label, ("le", bound.as_str())], count);
        }
        count += load(&histogram.above);
        self.sample(&buckets, &[label, ("le", "+Inf")], count);
        let sum = seconds(load(&histogram.sum_micros));
        let labels = label_text(&[label]);
        self.line(format_args!("{name}_sum{labels} {sum}"));
        // Of the same reading as the buckets, or the two could contradict each other.
        self.line(format_args!("{name}_count{labels} {count}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.push_str(&line.to_string());
        self.0.push('\n');
    }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let texts: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    if texts.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", texts.join(","))
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_cumulative() {
        let metrics = Metrics::default();
        for micros in [100, 250, 251, 9_000_000] {
            metrics.request("/token", "POST", 200, Duration::from_micros(micros));
        }
        let mut exposition = Exposition::default();
        metrics.write(&mut exposition);
        let text = exposition.into_text();
        let name = "tokensmith_http_request_duration_seconds";
        for line in [
            "tokensmith_http_requests_total{route=\"/token\",method=\"POST\",status=\"200\"} 4"
                .to_owned(),
            format!("{name}_bucket{{route=\"/token\",le=\"0.00025\"}} 2"),
            format!("{name}_bucket{{route=\"/token\",le=\"5\"}} 3"),
            format!("{name}_bucket{{route=\"/token\",le=\"+Inf\"}} 4"),
            format!("{name}_sum{{route=\"/token\"}} 9.000601"),
            format!("{name}_count{{route=\"/token\"}} 4"),
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label_text(&[("a", "x\\\"\n")]), "{a=\"x\\\\\\\"\\n\"}");
        assert_eq!(label_text(&[]), "");
    }
}

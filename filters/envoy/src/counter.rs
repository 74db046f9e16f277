use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::metric_name::named;

/// A number since Envoy got it last.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    since: i64,
    /// Envoy's number, once it has one.
    id: Option<u32>,
}

/// How many requests wait, of all workers together.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    told: i64,
    id: Option<u32>,
}

impl Counter {
    pub(crate) fn add(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    /// Lets Envoy know of it, with the value 0.
    pub(crate) fn define(&mut self, name: &str) {
        if self.id.is_none() {
            self.id = hostcalls::define_metric(MetricType::Counter, name).ok();
        }
    }

    /// Gives Envoy what was added.
    pub(crate) fn hand_over(&mut self, name: &str) {
        if self.since > 0 {
            self.define(name);
            if let Some(id) = self.id
                && hostcalls::increment_metric(id, self.since).is_ok()
            {
                self.since = 0;
            }
        }
    }

    /// As [`Counter::hand_over`], with a name that is made only once.
    pub(crate) fn hand_over_as(&mut self, name: impl FnOnce() -> String) {
        if self.since > 0 {
            let name = if self.id.is_none() {
                name()
            } else {
                String::new()
            };
            self.hand_over(&name);
        }
    }
}

impl Gauge {
    pub(crate) fn define(&mut self) {
        if self.id.is_none() {
            let name = named("tokensmith_requests_waiting", &[]);
            self.id = hostcalls::define_metric(MetricType::Gauge, &name).ok();
        }
    }

    pub(crate) fn tell(&mut self, number: usize) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let more = number.saturating_sub(self.told);
        if more != 0
            && let Some(id) = self.id
            && hostcalls::increment_metric(id, more).is_ok()
        {
            self.told = number;
        }
    }
}

/// Sets a gauge that is the same for all workers.
pub(crate) fn set_gauge(id: u32, number: u64) {
    // A gauge that cannot be set keeps what it had.
    let _ = hostcalls::record_metric(id, number);
}

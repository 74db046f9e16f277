//! The host's memory: streams, properties, shared data, metrics, calls, and what was asked of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::draw::Draw;
use super::faults::{Fault, Faults};
use super::pairs::Headers;

/// More memory than this is refused to a module.
const MOST_MEMORY: usize = 512 << 20;

/// What a module's host calls work on.
pub struct Host {
    /// Unix time in nanoseconds.
    pub clock: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// The host calls since this was last emptied.
    pub calls: Vec<&'static str>,
    /// What was logged, with its level.
    pub log: Vec<(u32, String)>,
    /// By their path, the parts divided by zero bytes.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The clusters that calls reach.
    pub clusters: BTreeSet<Vec<u8>>,
    /// The HTTP calls that were made.
    pub http_calls: Vec<HttpCall>,
    /// The period of ticks in milliseconds, by root context.
    pub ticks: BTreeMap<u32, u32>,
    /// The metrics by their numbers.
    pub metrics: BTreeMap<u32, Metric>,
    /// HTTP streams by their contexts.
    pub streams: BTreeMap<u32, Stream>,
    /// What all workers share.
    pub shared: Arc<Mutex<Shared>>,
    pub(super) contexts: BTreeSet<u32>,
    pub(super) current: u32,
    pub(super) effective: u32,
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) http_response: Option<HttpResponse>,
    pub(super) next_token: u32,
    pub(super) random: Draw,
    pub(super) limits: StoreLimits,
}

/// An HTTP request, and what became of it.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The request's headers, as they are now.
    pub request: Headers,
    /// The request's trailers, once there are any.
    pub request_trailers: Option<Headers>,
    /// The response's headers, once there are any.
    pub response: Option<Headers>,
    /// The response's trailers, once there are any.
    pub response_trailers: Option<Headers>,
    /// The headers with which the request went on.
    pub continued: Option<Headers>,
    /// The answer that the module gave in place of the service behind.
    pub local_response: Option<LocalResponse>,
    /// Whether the module closed it.
    pub reset: bool,
    /// Whether the module had the route chosen anew.
    pub route_cleared: bool,
    /// What the module left for later filters and access logs, by name.
    pub filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) root: u32,
}

/// An answer of the module's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// The HTTP status.
    pub status: u32,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

/// An HTTP call that the module made.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Its number.
    pub token: u32,
    /// The root context that made it.
    pub context: u32,
    /// Its cluster.
    pub cluster: Vec<u8>,
    /// Its headers.
    pub headers: Headers,
    /// Its timeout in milliseconds.
    pub timeout: u32,
    /// Whether the module has had its response.
    pub answered: bool,
}

/// The response to an [`HttpCall`].
#[derive(Clone, Debug, Default)]
pub struct HttpResponse {
    /// Its headers, `:status` among them.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// How many headers, bytes and trailers the module is told of, if not as many as there are.
    pub said: Option<(u32, u32, u32)>,
}

/// A metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// 0 a counter, 1 a gauge, 2 a histogram.
    pub kind: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// Its value: the last one of a histogram.
    pub value: u64,
}

/// What the workers of one Envoy share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Values with their change numbers, by key.
    pub data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// Queues by their names; a queue's number is its place, from 1.
    pub queues: Vec<(Vec<u8>, VecDeque<Vec<u8>>)>,
    pub(super) changes: u32,
}

impl Host {
    /// A host that does as Envoy does, now.
    pub fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut host = Self {
            clock: now.as_nanos() as u64,
            faults: Faults::Never,
            calls: Vec::new(),
            log: Vec::new(),
            properties: BTreeMap::new(),
            clusters: BTreeSet::new(),
            http_calls: Vec::new(),
            ticks: BTreeMap::new(),
            metrics: BTreeMap::new(),
            streams: BTreeMap::new(),
            shared: Arc::default(),
            contexts: BTreeSet::new(),
            current: 0,
            effective: 0,
            configuration: None,
            http_response: None,
            next_token: 0,
            random: Draw::new(1),
            limits: StoreLimitsBuilder::new().memory_size(MOST_MEMORY).build(),
        };
        host.set_property(&["plugin_name"], b"tokensmith");
        host.set_property(&["plugin_root_id"], b"tokensmith");
        host.set_property(&["plugin_vm_id"], b"");
        host
    }

    /// Sets a property.
    pub fn set_property(&mut self, path: &[&str], value: &[u8]) {
        let path = path.join("\0").into_bytes();
        self.properties.insert(path, value.to_vec());
    }

    /// Unix time in seconds.
    pub fn now(&self) -> i64 {
        (self.clock / 1_000_000_000) as i64
    }

    /// Lets time go on.
    pub fn pass(&mut self, seconds: u64) {
        self.clock = self
            .clock
            .saturating_add(seconds.saturating_mul(1_000_000_000));
    }

    /// What the workers share; the lock is free again when the guard is dropped.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls that wait for a response.
    pub fn waiting(&self) -> Vec<HttpCall> {
        let waiting = self.http_calls.iter().filter(|call| !call.answered);
        waiting.cloned().collect()
    }

    /// Writes a call down and says what goes wrong with it.
    pub(super) fn note(&mut self, function: &'static str) -> Option<Fault> {
        let number = self.calls.len();
        self.calls.push(function);
        self.faults.of_call(number, function)
    }

    /// The context that host calls are about.
    pub(super) fn context(&self) -> u32 {
        if self.contexts.contains(&self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    pub(super) fn stream_mut(&mut self) -> Option<&mut Stream> {
        let context = self.context();
        self.streams.get_mut(&context)
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// Lets the request go on, unless it is over.
    pub(super) fn hand_on(&mut self) {
        if self.continued.is_none() && self.local_response.is_none() && !self.reset {
            self.continued = Some(self.request.clone());
        }
    }
}

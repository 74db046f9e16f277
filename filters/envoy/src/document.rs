use std::time::Duration;

use http::Uri;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::ConfigError;
use tokensmith_engine::keys::{Fetch, Seen, SharedDocument, Turn};

use crate::answered::Answered;
use crate::host::{Clock, log};
use crate::shared_data;

/// How long Envoy waits for an answer; less than the engine's
/// [`tokensmith_engine::keys::RefreshPolicy::timeout`].
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a worker that fetches may say nothing, in milliseconds: longer than [`TIMEOUT`].
const DEAD_AFTER_MS: i64 = 7_000;

/// A document that all workers need and one fetches, through an Envoy cluster.
pub(crate) struct Document {
    /// What it is called in logs.
    label: String,
    cluster: String,
    authority: String,
    path: String,
    accept: &'static str,
    /// Longest body, in bytes.
    longest: usize,
    record_key: String,
    body_key: String,
    seen: Seen,
    /// The fetch that the engine waits for.
    wanted: Option<Fetch>,
    /// Envoy's number of the call of this worker.
    call: Option<u32>,
    /// When the call was made.
    asked: i64,
    /// Whether an attempt has ended, of any worker.
    tried: bool,
}

/// Where a document is, and the configuration's names of that.
pub(crate) struct Place<'c> {
    pub(crate) label: String,
    pub(crate) uri: &'c str,
    pub(crate) uri_field: String,
    pub(crate) cluster: Option<&'c str>,
    pub(crate) cluster_field: String,
    pub(crate) accept: &'static str,
    pub(crate) longest: usize,
}

/// What became of a fetch.
pub(crate) enum Event {
    /// The engine's fetch of this number failed.
    Failed(u64),
    /// Another worker, or this one before a reload, has fetched it: a [`SharedDocument`].
    Shared(Vec<u8>),
}

impl Document {
    pub(crate) fn new(place: Place<'_>) -> Result<Self, ConfigError> {
        let refused = |field: &str, message: String| ConfigError::Field {
            field: field.to_owned(),
            message,
        };
        let uri = place.uri;
        let url = uri
            .parse::<Uri>()
            .ok()
            .filter(|url| matches!(url.scheme_str(), Some("http" | "https")))
            .ok_or_else(|| {
                let message = format!("`{uri}` is not an http or https URL");
                refused(&place.uri_field, message)
            })?;
        let cluster = place
            .cluster
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                let message = format!("is required: name the Envoy cluster that reaches `{uri}`");
                refused(&place.cluster_field, message)
            })?
            .to_owned();
        Ok(Self {
            label: place.label,
            record_key: format!("tokensmith/fetch/{cluster}/{uri}"),
            body_key: format!("tokensmith/document/{cluster}/{uri}"),
            authority: url.authority().map(ToString::to_string).unwrap_or_default(),
            path: url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            cluster,
            accept: place.accept,
            longest: place.longest,
            seen: Seen::default(),
            wanted: None,
            call: None,
            asked: 0,
            tried: false,
        })
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Looks for what was fetched before this VM came up. Nothing is fetched: Envoy tries a
    /// configuration out in a VM that it throws away.
    pub(crate) fn begin(&mut self) -> Option<Event> {
        shared_data::seed_fetch_record(&self.record_key);
        let (record, _) = shared_data::fetch_record(&self.record_key);
        self.seen.attempts = record.attempts;
        self.read(record.version)
    }

    /// Notes what the engine wants.
    pub(crate) fn want(&mut self, fetch: Fetch) {
        self.wanted = Some(fetch);
    }

    /// Whether it may come soon: a fetch is under way, or none was tried yet.
    pub(crate) fn is_on_its_way(&self) -> bool {
        self.wanted.is_some() || self.call.is_some() || !self.tried
    }

    pub(crate) fn is_waiting_for(&self, call: u32) -> bool {
        self.call == Some(call)
    }

    /// Looks at what the workers share, and fetches if it is this worker's turn. Only the root
    /// context may call this: the answer goes to the context that asked, and a request's context
    /// is gone by then.
    pub(crate) fn look(&mut self, now: Clock) -> Option<Event> {
        if self.call.is_some() {
            return None;
        }
        let (mut record, mut cas) = shared_data::fetch_record(&self.record_key);
        if record.version != self.seen.version {
            self.seen.attempts = record.attempts;
            if let Some(event) = self.read(record.version) {
                return Some(event);
            }
        }
        let id = self.wanted.as_ref()?.id;
        if cas.is_none() {
            shared_data::seed_fetch_record(&self.record_key);
            (record, cas) = shared_data::fetch_record(&self.record_key);
        }
        match record.turn(self.seen, now.ms, DEAD_AFTER_MS) {
            Turn::Read | Turn::Wait => None,
            Turn::Failed => {
                self.seen.attempts = record.attempts;
                self.give_up();
                Some(Event::Failed(id))
            }
            Turn::Lead(mine) => {
                if !shared_data::swap_fetch_record(&self.record_key, &mine, cas) {
                    return None;
                }
                self.dispatch(now).map(Event::Failed)
            }
        }
    }

    /// Reads Envoy's answer to this worker's call; `None` when there is none that can be used.
    pub(crate) fn answered(&mut self, headers: usize, body_size: usize) -> Option<Answered> {
        self.call = None;
        let fetch = self.wanted.as_ref()?.id;
        // Without headers the connection broke, and asking for them would be an error.
        if headers == 0 || body_size > self.longest {
            return None;
        }
        Answered::read(fetch, body_size)
    }

    /// Gives all workers an answer that the engine has taken.
    pub(crate) fn keep(&mut self, answered: &Answered) {
        let former = match answered.status {
            200 => None,
            _ => shared_data::read(&self.body_key).0,
        };
        let former = former.as_deref().and_then(SharedDocument::parse);
        let kept = match (answered.status, former) {
            (200, _) => Some((answered.etag.clone(), answered.body.as_slice())),
            // What has not changed is newer now.
            (_, Some(former)) => Some((former.etag, former.body)),
            (_, None) => None,
        };
        if let Some((etag, body)) = kept {
            let document = SharedDocument {
                at: self.asked,
                etag,
                cache_control: answered.cache_control.clone(),
                body,
            };
            shared_data::write(&self.body_key, &document.to_bytes());
        }
        self.ended(true);
    }

    /// Tells all workers that this worker's call ended, and gives the number of the engine's
    /// fetch.
    pub(crate) fn ended(&mut self, good: bool) -> Option<u64> {
        let record = shared_data::end_attempt(&self.record_key, good);
        self.seen = Seen {
            version: record.version,
            attempts: record.attempts,
        };
        self.give_up()
    }

    /// The number of the fetch that was wanted, and is no longer.
    fn give_up(&mut self) -> Option<u64> {
        self.tried = true;
        self.wanted.take().map(|fetch| fetch.id)
    }

    fn read(&mut self, version: u64) -> Option<Event> {
        if version == self.seen.version {
            return None;
        }
        self.seen.version = version;
        let (document, _) = shared_data::read(&self.body_key);
        let document = document.filter(|bytes| SharedDocument::parse(bytes).is_some())?;
        self.give_up();
        Some(Event::Shared(document))
    }

    /// Asks Envoy for the document; the number of the engine's fetch when that fails at once.
    fn dispatch(&mut self, now: Clock) -> Option<u64> {
        let fetch = self.wanted.as_ref()?;
        let mut headers = vec![
            (":method", "GET"),
            (":path", self.path.as_str()),
            (":authority", self.authority.as_str()),
            ("accept", self.accept),
        ];
        if let Some(etag) = &fetch.etag {
            headers.push(("if-none-match", etag));
        }
        self.asked = now.seconds;
        match hostcalls::dispatch_http_call(&self.cluster, headers, None, vec![], TIMEOUT) {
            Ok(call) => {
                self.call = Some(call);
                None
            }
            Err(status) => {
                log(
                    LogLevel::Warn,
                    &format!(
                        "{}: cannot fetch `{}` through cluster `{}`: {status:?}",
                        self.label, fetch.url, self.cluster
                    ),
                );
                self.ended(false)
            }
        }
    }
}

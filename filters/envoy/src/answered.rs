use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use tokensmith_engine::keys::{Answer, SharedDocument};

/// What Envoy's answer holds.
pub(crate) struct Answered {
    pub(crate) fetch: u64,
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    /// Reads Envoy's answer to a call that has headers; `None` when that fails.
    pub(crate) fn read(fetch: u64, body_size: usize) -> Option<Self> {
        let header = |name: &str| {
            hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name)
                .ok()
                .flatten()
                .and_then(|value| String::from_utf8(value).ok())
        };
        let status = header(":status")?.parse().ok()?;
        let body = if body_size == 0 {
            Vec::new()
        } else {
            hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size)
                .ok()
                .flatten()?
        };
        Some(Answered {
            fetch,
            status,
            etag: header("etag"),
            cache_control: header("cache-control"),
            body,
        })
    }

    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            etag: self.etag.as_deref(),
            cache_control: self.cache_control.as_deref(),
            body: &self.body,
        }
    }
}

/// A document of another worker as the answer it was.
pub(crate) fn shared_answer<'d>(document: &'d SharedDocument<'d>) -> Answer<'d> {
    Answer {
        status: 200,
        etag: document.etag.as_deref(),
        cache_control: document.cache_control.as_deref(),
        body: document.body,
    }
}

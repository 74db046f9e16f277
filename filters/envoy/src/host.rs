use std::time::UNIX_EPOCH;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

/// The time of one call from Envoy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Unix time in seconds.
    pub(crate) seconds: i64,
    /// Unix time in milliseconds.
    pub(crate) ms: i64,
}

impl Clock {
    /// The time now. Without a clock every token has expired.
    pub(crate) fn now() -> Self {
        let since = hostcalls::get_current_time()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let Some(since) = since else {
            return Self {
                seconds: i64::MAX,
                ms: i64::MAX,
            };
        };
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// Nobody outside sees when a worker started to the nanosecond; see `VerdictCache::new` for what
/// the key is good for.
pub(crate) fn digest_key() -> [u8; 16] {
    let nanoseconds = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    nanoseconds.to_le_bytes()
}

/// Differs from worker to worker by when it started, which is all that spreading fetches needs.
pub(crate) fn seed() -> u64 {
    hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| u64::from(since.subsec_nanos()))
}

pub(crate) fn log(level: LogLevel, message: &str) {
    // Nothing is left to do when even logging fails.
    let _ = hostcalls::log(level, &format!("tokensmith: {message}"));
}

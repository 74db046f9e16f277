use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds; before 1970 nothing is valid yet, which 0 says too.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

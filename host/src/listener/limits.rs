use std::time::Duration;

/// No time is longer: sums with the clock's have to stay in range.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What the HTTP/1.1 parser has room for without an allocation.
pub(super) const MAX_HEADERS: usize = 100;
/// The HTTP/1.1 parser's buffer is not smaller.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// One source address may have so many connections, however few there may be in all.
const LEAST_PER_SOURCE: usize = 16;

/// What one listener allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the system's queue. One source address that is
    /// no trusted proxy has a quarter of them at most, but 16 in any case; its further ones are
    /// closed at once.
    pub max_connections: usize,
    /// For a TLS handshake, for the first request of a connection, and for the header of each
    /// further one over HTTP/1.1, counted from the end of the one before.
    pub header_timeout: Duration,
    /// For a request's body to arrive and its answer to be ready.
    pub request_timeout: Duration,
    /// For requests in flight to end when the service does.
    pub shutdown_timeout: Duration,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Bytes of a request's line and header; at least 8 KiB.
    pub max_header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            shutdown_timeout: Duration::from_secs(10),
            max_headers: MAX_HEADERS,
            max_header_bytes: 32 * 1024,
        }
    }
}

impl Limits {
    /// Connections at a time from one source address.
    pub(super) fn per_source(&self) -> usize {
        (self.max_connections / 4).max(LEAST_PER_SOURCE)
    }

    /// The nearest limits that can be kept: some connection, times of at most a day.
    pub(super) fn within_reason(self) -> Self {
        Self {
            max_connections: self.max_connections.max(1),
            header_timeout: self.header_timeout.min(LONGEST),
            request_timeout: self.request_timeout.min(LONGEST),
            shutdown_timeout: self.shutdown_timeout.min(LONGEST),
            max_headers: self.max_headers,
            max_header_bytes: self.max_header_bytes.max(LEAST_HEADER_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_has_a_quarter() {
        for (max_connections, expected) in [(1, 16), (64, 16), (68, 17), (1024, 256)] {
            let limits = Limits {
                max_connections,
                ..Limits::default()
            };
            assert_eq!(limits.per_source(), expected, "{max_connections}");
        }
    }
}

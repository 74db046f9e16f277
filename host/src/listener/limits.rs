use std::time::Duration;

/// No time is longer: sums with the clock's have to stay in range.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// What the HTTP/1.1 parser has room for without an allocation.
pub(super) const MAX_HEADERS: usize = 100;
/// The HTTP/1.1 parser's buffer is not smaller.
const LEAST_HEADER_BYTES: usize = 8 * 1024;

/// What one listener allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the system's queue.
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

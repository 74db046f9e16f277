//! What a running service tells of itself: its log, and with the feature `otel` traces of its
//! requests.

#[cfg(feature = "otel")]
mod traces;
#[cfg(not(feature = "otel"))]
mod untraced;

#[cfg(feature = "otel")]
pub(crate) use traces::{RequestSpan, StoreSpan, Traces, in_this_span};
#[cfg(not(feature = "otel"))]
pub(crate) use untraced::{RequestSpan, StoreSpan, Traces, in_this_span};

/// JSON lines on standard error; `RUST_LOG` chooses, `info` without.
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Another log is there already: then that is the log.
    drop(log.try_init());
}

//! SIGHUP, which asks for files to be read again.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that come from now on.
#[derive(Debug)]
pub(crate) struct Hangups(Option<Signal>);

impl Hangups {
    /// Starts to listen. From here on SIGHUP no longer ends the process.
    ///
    /// Needs a Tokio runtime with signals.
    pub(crate) fn listen() -> Self {
        match signal(SignalKind::hangup()) {
            Ok(signals) => Self(Some(signals)),
            Err(error) => {
                tracing::warn!(%error, "cannot listen for SIGHUP");
                Self(None)
            }
        }
    }

    /// Ends with the next signal, never where there are none.
    pub(crate) async fn next(&mut self) {
        if let Some(signals) = &mut self.0
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

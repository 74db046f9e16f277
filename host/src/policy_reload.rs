//! A policy that follows its files while the service runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::hangup::Hangups;

pub use tokensmith_policy_files::reload::{
    DEFAULT_INTERVAL, LEAST_INTERVAL, PolicyHandle, PolicyInUse, PolicyOrigin, Reload,
    ReloadFailure,
};

/// Starts a task that looks at the files every `interval` (at least 100 milliseconds, see
/// [`DEFAULT_INTERVAL`]), and loads them at each SIGHUP. It ends when it is aborted.
///
/// From here on SIGHUP no longer ends the process.
///
/// # Panics
/// Outside of a Tokio runtime with timers and signals.
pub fn watch(policy: Arc<PolicyHandle>, interval: Duration) -> JoinHandle<()> {
    let hangups = Hangups::listen();
    tokio::spawn(watching(policy, interval.max(LEAST_INTERVAL), hangups))
}

async fn watching(policy: Arc<PolicyHandle>, interval: Duration, mut hangups: Hangups) {
    let mut looks = tokio::time::interval(interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once.
    looks.tick().await;
    loop {
        let forced = tokio::select! {
            _ = looks.tick() => false,
            () = hangups.next() => true,
        };
        let policy = Arc::clone(&policy);
        // Both block. What they return is kept and logged already.
        let done = tokio::task::spawn_blocking(move || {
            drop(if forced {
                policy.reload()
            } else {
                policy.check()
            });
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "loading the policy ended, the former one stays in use");
        }
    }
}

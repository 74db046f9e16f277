use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock and the randomness of waits. The default is the system's; tests bring their own.
#[derive(Clone)]
pub struct Environment {
    /// The time.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Any number. It spreads waits and is nobody's secret.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Environment {
    /// Time since 1970; none before.
    pub(crate) fn unix_now(&self) -> Duration {
        (self.now)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
    }

    pub(crate) fn random(&self) -> u64 {
        (self.random)()
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            now: Arc::new(SystemTime::now),
            // Each state has keys of its own.
            random: Arc::new(|| RandomState::new().build_hasher().finish()),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment(..)")
    }
}

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokensmith_policy_files::reload::{LEAST_INTERVAL, PolicyHandle};
use tokio::time::MissedTickBehavior;

use crate::current::Shared;

/// Looks at the files of a policy, until the last handle is dropped. Others may look too: what
/// counts is what the policy's handle has.
pub(crate) async fn following(shared: Weak<Shared>, policy: Arc<PolicyHandle>, interval: Duration) {
    let mut looks = tokio::time::interval(interval.max(LEAST_INTERVAL));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut version = match shared.upgrade() {
        Some(shared) => shared.current.load().decider.policy_version().to_owned(),
        None => return,
    };
    loop {
        looks.tick().await;
        let looked = {
            let policy = Arc::clone(&policy);
            // It blocks. What it returns is kept and logged already.
            tokio::task::spawn_blocking(move || drop(policy.check())).await
        };
        if let Err(error) = looked {
            tracing::error!(%error, "looking at the policy ended, the former one stays in use");
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let current = policy.current();
        if current.policy_version() == version {
            continue;
        }
        let next = current.policy_version().to_owned();
        match shared.set_policy(current) {
            Ok(()) => shared.metrics.policy_loaded(true),
            Err(error) => {
                shared.metrics.policy_loaded(false);
                tracing::error!(
                    code = error.code(),
                    %error,
                    "the policy does not fit, the former one stays in use"
                );
            }
        }
        // One that does not fit is not tried again.
        version = next;
    }
}

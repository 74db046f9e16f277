use std::sync::{Arc, Weak};
use std::time::Duration;

use tokensmith_engine::keys;
use tokio::time::MissedTickBehavior;

use crate::Fetch;
use crate::current::Shared;

/// No JWK set is larger, in bytes.
pub(crate) const MAX_JWKS: usize = 1024 * 1024;

const TICK: Duration = Duration::from_secs(1);

/// Fetches the keys that are due or wanted, until the last handle is dropped.
pub(crate) async fn refreshing(shared: Weak<Shared>, fetch: Arc<dyn Fetch>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(own) = shared.upgrade() else {
            return;
        };
        start_due(&own, &fetch);
        // Until the next tick; holding the handle that long delays nobody's end much.
        tokio::select! {
            () = own.wants.notified() => start_due(&own, &fetch),
            () = tokio::time::sleep(TICK / 2) => {}
        }
    }
}

fn start_due(shared: &Arc<Shared>, fetch: &Arc<dyn Fetch>) {
    for due in shared.due_fetches(shared.now()) {
        let (shared, fetch) = (Arc::clone(shared), Arc::clone(fetch));
        tokio::spawn(async move { carry_out(&shared, fetch.as_ref(), &due).await });
    }
}

async fn carry_out(shared: &Shared, fetch: &dyn Fetch, due: &keys::Fetch) {
    let document = match fetch.get(&due.url, due.etag.as_deref(), MAX_JWKS).await {
        Ok(document) => document,
        Err(error) => {
            shared.fetch_failed(due.id);
            tracing::warn!(
                url = due.url.as_str(),
                %error,
                "cannot fetch keys, keeping the former"
            );
            return;
        }
    };
    match shared.fetched(due.id, &document.answer(), shared.now()) {
        Ok(loaded) => tracing::info!(
            issuer = loaded.issuer.as_str(),
            keys = loaded.keys,
            left_out = loaded.rejected.len(),
            changed = loaded.changed,
            "keys fetched"
        ),
        Err(error) => tracing::warn!(
            url = due.url.as_str(),
            %error,
            "the keys fetched are not good, keeping the former"
        ),
    }
}

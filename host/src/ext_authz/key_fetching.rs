use std::sync::Arc;
use std::time::Duration;

use tokensmith_engine::keys::Fetch;
use tokio::time::MissedTickBehavior;

use super::Authorization;
use super::authorization::DueFetches;
use crate::clock::unix_now;
use crate::oidc::http_get;

/// The longest a fetch may take; less than [`tokensmith_engine::keys::RefreshPolicy::timeout`].
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

const TICK: Duration = Duration::from_secs(1);

/// Fetches the keys that are due or wanted, until it is dropped.
pub(super) async fn fetching(authorization: Arc<Authorization>, client: reqwest::Client) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = authorization.keys_wanted() => {}
        }
        let DueFetches {
            generation,
            fetches,
        } = authorization.due_fetches(unix_now());
        for fetch in fetches {
            let (authorization, client) = (Arc::clone(&authorization), client.clone());
            tokio::spawn(async move {
                carry_out(&authorization, &client, generation, &fetch).await;
            });
        }
    }
}

async fn carry_out(
    authorization: &Authorization,
    client: &reqwest::Client,
    generation: u64,
    fetch: &Fetch,
) {
    let document = match http_get::get(client, &fetch.url, fetch.etag.as_deref()).await {
        Ok(document) => document,
        Err(error) => {
            authorization.fetch_failed(generation, fetch.id);
            tracing::warn!(code = error.code(), %error, "cannot fetch keys, keeping the former");
            return;
        }
    };
    match authorization.fetched(generation, fetch.id, &document.answer(), unix_now()) {
        Some(Ok(loaded)) => tracing::info!(
            issuer = loaded.issuer.as_str(),
            keys = loaded.keys,
            left_out = loaded.rejected.len(),
            changed = loaded.changed,
            "keys fetched"
        ),
        Some(Err(error)) => tracing::warn!(
            url = fetch.url.as_str(),
            %error,
            "the keys fetched are not good, keeping the former"
        ),
        None => {}
    }
}

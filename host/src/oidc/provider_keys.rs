use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Fetch, JwksSource, RefreshPolicy};
use tokensmith_engine::oidc::ProviderMetadata;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verified, Verifier, VerifyError};
use tokio::sync::watch;

use super::http_get::{self, Document};
use super::{OidcError, discovery};
use crate::clock::unix_now;
use crate::random;

/// Asking sooner would not help the callers who wait, and would hurt a provider that recovers.
pub(super) const COOLDOWN_SECONDS: i64 = 5;

/// A provider's metadata and keys. They are fetched when first needed, in the background when they
/// grow old, and once more when a token names a `kid` that is new.
#[derive(Debug)]
pub(super) struct ProviderKeys {
    issuer: String,
    allow_http: bool,
    client: reqwest::Client,
    keys: Mutex<Keys>,
    /// How many fetches have ended, of those that have begun.
    ended: watch::Sender<u64>,
    fetches: AtomicU64,
    failed_fetches: AtomicU64,
}

#[derive(Debug)]
struct Keys {
    source: JwksSource,
    ring: Arc<KeyRing>,
    metadata: Option<Arc<ProviderMetadata>>,
    /// Counted in the same moment in which the source asks for a fetch: whoever is told that none
    /// is to be begun knows which to wait for.
    begun: u64,
}

impl ProviderKeys {
    pub(super) fn new(issuer: &str, allow_http: bool, client: reqwest::Client) -> Self {
        let policy = RefreshPolicy {
            cooldown: COOLDOWN_SECONDS,
            ..RefreshPolicy::default()
        };
        let url = discovery::document_url(issuer);
        Self {
            issuer: issuer.to_owned(),
            allow_http,
            client,
            keys: Mutex::new(Keys {
                source: JwksSource::new(url, policy, random::seed()),
                ring: Arc::default(),
                metadata: None,
                begun: 0,
            }),
            ended: watch::Sender::new(0),
            fetches: AtomicU64::new(0),
            failed_fetches: AtomicU64::new(0),
        }
    }

    /// How often keys were fetched or found not to have changed, and how often that failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.fetches.load(Ordering::Relaxed),
            self.failed_fetches.load(Ordering::Relaxed),
        )
    }

    /// Verifies a token's signature and, by the rules of `verifier`, its claims.
    pub(super) async fn verify(
        self: &Arc<Self>,
        verifier: &Verifier,
        token: &str,
    ) -> Result<Verified, OidcError> {
        let ring = self.ring().await?;
        let kid = match verifier.verify(token, &ring, unix_now()) {
            Err(VerifyError::UnknownKid { kid, .. }) => kid,
            other => return Ok(other?),
        };
        let asked = self.ask_for(&kid).await;
        let ring = Arc::clone(&self.locked().ring);
        let verified = verifier.verify(token, &ring, unix_now());
        if let (Err(VerifyError::UnknownKid { .. }), Err(error)) = (&verified, asked) {
            // The provider may have the key: the token is not known to be bad.
            return Err(error);
        }
        Ok(verified?)
    }

    /// Has the keys fetched that a new `kid` may be among, unless it is too early for that, and
    /// waits for the fetch that is under way.
    ///
    /// # Errors
    /// The last fetch failed: nobody knows which keys the provider has now.
    async fn ask_for(self: &Arc<Self>, kid: &str) -> Result<(), OidcError> {
        let (wanted, begun) = {
            let mut keys = self.locked();
            let wanted = keys.source.unknown_kid(kid, unix_now());
            keys.begun += u64::from(wanted.is_some());
            (wanted, keys.begun)
        };
        if let Some(fetch) = wanted {
            return self.fetch(fetch).await;
        }
        self.wait_for(begun).await;
        if self.locked().source.is_failing() {
            return Err(OidcError::NoKeys);
        }
        Ok(())
    }

    /// The metadata, of the last time that keys were fetched.
    pub(super) async fn metadata(self: &Arc<Self>) -> Result<Arc<ProviderMetadata>, OidcError> {
        drop(self.ring().await?);
        let metadata = self.locked().metadata.clone();
        metadata.ok_or(OidcError::NoKeys)
    }

    /// Keys that may be used now; waits for them only when there are none.
    pub(super) async fn ring(self: &Arc<Self>) -> Result<Arc<KeyRing>, OidcError> {
        let now = unix_now();
        let (due, current, begun) = {
            let mut keys = self.locked();
            let due = keys.source.poll(now);
            keys.begun += u64::from(due.is_some());
            (due, keys.current(now), keys.begun)
        };
        match (due, current) {
            (None, Some(ring)) => Ok(ring),
            (Some(fetch), Some(ring)) => {
                let provider = Arc::clone(self);
                tokio::spawn(async move {
                    if let Err(error) = provider.fetch(fetch).await {
                        tracing::warn!(%error, "cannot refresh the OIDC provider's keys");
                    }
                });
                Ok(ring)
            }
            (Some(fetch), None) => {
                self.fetch(fetch).await?;
                self.locked().current(unix_now()).ok_or(OidcError::NoKeys)
            }
            (None, None) => {
                self.wait_for(begun).await;
                self.locked().current(unix_now()).ok_or(OidcError::NoKeys)
            }
        }
    }

    /// Fetches to the end even when the caller goes away: an abandoned fetch would keep the
    /// others waiting for its answer.
    async fn fetch(self: &Arc<Self>, fetch: Fetch) -> Result<(), OidcError> {
        let provider = Arc::clone(self);
        let fetching = tokio::spawn(async move {
            let done = provider.fetch_to_the_end(&fetch).await;
            let counter = match &done {
                Ok(()) => &provider.fetches,
                Err(_) => &provider.failed_fetches,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            provider.ended.send_modify(|ended| *ended += 1);
            done
        });
        fetching.await.unwrap_or(Err(OidcError::NoKeys))
    }

    /// Waits until so many fetches have ended.
    async fn wait_for(&self, begun: u64) {
        let mut ended = self.ended.subscribe();
        // Fails without a sender only, and that is this one's.
        drop(ended.wait_for(|ended| *ended >= begun).await);
    }

    async fn fetch_to_the_end(&self, fetch: &Fetch) -> Result<(), OidcError> {
        let answer = self.ask(fetch).await;
        let mut keys = self.locked();
        match answer {
            Ok((metadata, document)) => {
                let set = keys
                    .source
                    .fetched(fetch.id, &document.answer(), &Limits::default())?;
                let ring = KeyRing::new([(self.issuer.as_str(), set)], &AwsLc);
                keys.ring = Arc::new(ring);
                keys.metadata = Some(Arc::new(metadata));
                Ok(())
            }
            Err(error) => {
                keys.source.failed(fetch.id);
                Err(error)
            }
        }
    }

    async fn ask(&self, fetch: &Fetch) -> Result<(ProviderMetadata, Document), OidcError> {
        let metadata = discovery::metadata(&self.client, &self.issuer, self.allow_http).await?;
        let document =
            http_get::get(&self.client, &metadata.jwks_uri, fetch.etag.as_deref()).await?;
        Ok((metadata, document))
    }

    fn locked(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn current(&self, now: i64) -> Option<Arc<KeyRing>> {
        self.source.keys(now).map(|_| Arc::clone(&self.ring))
    }
}

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Fetch, JwksSource, RefreshPolicy};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verified, Verifier, VerifyError};

use super::http_get::{self, Document};
use super::{OidcError, discovery};
use crate::clock::unix_now;
use crate::random;

/// The provider whose ID tokens are exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// Its issuer, exactly as in its tokens.
    pub issuer: String,
    /// The client the tokens are issued to: their `aud`.
    pub client_id: String,
    /// Whether plain http is allowed to another machine.
    pub allow_http: bool,
    /// The longest a request to the provider may take.
    pub timeout: Duration,
}

/// A provider with its keys. Keys are fetched when first needed, in the background when they grow
/// old, and once more when a token names a `kid` that is new.
#[derive(Debug)]
pub struct OidcProvider {
    settings: OidcSettings,
    client: reqwest::Client,
    verifier: Verifier,
    keys: Mutex<Keys>,
    fetching: tokio::sync::Mutex<()>,
    fetches: AtomicU64,
    failed_fetches: AtomicU64,
}

#[derive(Debug)]
struct Keys {
    source: JwksSource,
    ring: Arc<KeyRing>,
}

/// Asking sooner would not help the callers who wait, and would hurt a provider that recovers.
const COOLDOWN_SECONDS: i64 = 5;

impl OidcProvider {
    /// Checks the settings; asks the provider nothing yet.
    ///
    /// # Errors
    /// [`OidcError::Url`], [`OidcError::Client`].
    pub fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        discovery::check_url(&settings.issuer, settings.allow_http)?;
        let rules = ClaimRules::generic(&settings.issuer, [&settings.client_id]);
        let policy = RefreshPolicy {
            cooldown: COOLDOWN_SECONDS,
            ..RefreshPolicy::default()
        };
        Ok(Self {
            client: http_get::client(settings.timeout)?,
            verifier: Verifier::new([rules], Limits::default()),
            keys: Mutex::new(Keys {
                source: JwksSource::new(
                    discovery::document_url(&settings.issuer),
                    policy,
                    random::seed(),
                ),
                ring: Arc::default(),
            }),
            fetching: tokio::sync::Mutex::new(()),
            fetches: AtomicU64::new(0),
            failed_fetches: AtomicU64::new(0),
            settings,
        })
    }

    /// The configured issuer.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// How often its keys were fetched, or found not to have changed.
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    /// How often fetching its keys failed.
    pub fn failed_fetches(&self) -> u64 {
        self.failed_fetches.load(Ordering::Relaxed)
    }

    /// Seconds after which asking again may help.
    pub fn retry_after(&self) -> i64 {
        COOLDOWN_SECONDS
    }

    /// Verifies an ID token (OpenID Connect Core section 3.1.3.7).
    ///
    /// # Errors
    /// [`OidcError`]; [`OidcError::is_about_token`] tells bad tokens from missing keys.
    pub async fn verify(self: &Arc<Self>, token: &str) -> Result<Verified, OidcError> {
        let ring = self.ring().await?;
        let verified = match self.verifier.verify(token, &ring, unix_now()) {
            Err(VerifyError::UnknownKid { kid, .. }) => {
                let wanted = self.locked().source.unknown_kid(&kid, unix_now());
                match wanted {
                    // Another caller may have fetched since, or be fetching now.
                    None => drop(self.fetching.lock().await),
                    Some(fetch) => {
                        if let Err(error) = self.fetch(fetch).await {
                            tracing::warn!(%error, "cannot refresh the OIDC provider's keys");
                        }
                    }
                }
                let ring = Arc::clone(&self.locked().ring);
                self.verifier.verify(token, &ring, unix_now())?
            }
            other => other?,
        };
        let azp = verified.claims().string("azp");
        let several = verified.claims().audiences().nth(1).is_some();
        if azp.map_or(several, |azp| azp != self.settings.client_id) {
            return Err(OidcError::AuthorizedParty);
        }
        Ok(verified)
    }

    /// Keys that may be used now; waits for them only when there are none.
    async fn ring(self: &Arc<Self>) -> Result<Arc<KeyRing>, OidcError> {
        let now = unix_now();
        let (due, current) = {
            let mut keys = self.locked();
            let due = keys.source.poll(now);
            (due, keys.current(now))
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
                drop(self.fetching.lock().await);
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
            done
        });
        fetching.await.unwrap_or(Err(OidcError::NoKeys))
    }

    async fn fetch_to_the_end(&self, fetch: &Fetch) -> Result<(), OidcError> {
        let _turn = self.fetching.lock().await;
        let answer = self.ask(fetch).await;
        let mut keys = self.locked();
        match answer {
            Ok(document) => {
                let set = keys
                    .source
                    .fetched(fetch.id, &document.answer(), &Limits::default())?;
                let ring = KeyRing::new([(self.settings.issuer.as_str(), set)], &AwsLc);
                keys.ring = Arc::new(ring);
                Ok(())
            }
            Err(error) => {
                keys.source.failed(fetch.id);
                Err(error)
            }
        }
    }

    async fn ask(&self, fetch: &Fetch) -> Result<Document, OidcError> {
        let OidcSettings {
            issuer, allow_http, ..
        } = &self.settings;
        let jwks_uri = discovery::jwks_uri(&self.client, issuer, *allow_http).await?;
        http_get::get(&self.client, &jwks_uri, fetch.etag.as_deref()).await
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn current(&self, now: i64) -> Option<Arc<KeyRing>> {
        self.source.keys(now).map(|_| Arc::clone(&self.ring))
    }
}

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::MutexGuard;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{IdentityProvider, OidcClient, OidcError, OidcOptions, OidcProvider, ProviderMetrics};
use crate::store::{Store, StoreError, StoredOidcProvider};

/// How often the store is asked whether another replica was given another provider.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(5);

/// The provider in use, if there is one. Whoever verifies takes it with [`ProviderHandle::load`],
/// without waiting, and goes on with it when another takes its place.
///
/// What was configured while the service ran is in the store and comes before what the service
/// was started with.
#[derive(Debug)]
pub struct ProviderHandle {
    current: ArcSwapOption<InUse>,
    /// What the service was started with.
    settings: Option<OidcClient>,
    options: OidcOptions,
    /// Held by whoever changes the provider, from the first look to the last step.
    changing: tokio::sync::Mutex<()>,
    /// What providers counted that are no longer in use.
    former: Mutex<ProviderMetrics>,
}

/// Which provider is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderDescription {
    /// The provider, and the service's client there.
    pub client: OidcClient,
    /// Who said so.
    pub origin: ProviderOrigin,
}

/// Where a provider's configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderOrigin {
    /// Flags, environment or file.
    Settings,
    /// The store: it was configured while the service ran.
    Store {
        /// Which change it was.
        generation: i64,
    },
}

impl ProviderOrigin {
    /// Its name in what the service tells of itself.
    pub fn name(self) -> &'static str {
        match self {
            ProviderOrigin::Settings => "settings",
            ProviderOrigin::Store { .. } => "store",
        }
    }
}

#[derive(Debug)]
struct InUse {
    provider: Arc<dyn IdentityProvider>,
    description: ProviderDescription,
}

impl ProviderHandle {
    /// With the provider of the settings, or none. Asks it nothing yet.
    ///
    /// # Errors
    /// [`OidcError::Url`], [`OidcError::ClientId`], [`OidcError::Client`].
    pub fn new(settings: Option<OidcClient>, options: OidcOptions) -> Result<Self, OidcError> {
        let handle = Self {
            current: ArcSwapOption::empty(),
            settings,
            options,
            changing: tokio::sync::Mutex::new(()),
            former: Mutex::default(),
        };
        if let Some(client) = handle.settings.clone() {
            let provider = handle.build(client.clone())?;
            handle.swap(
                Arc::new(provider),
                ProviderDescription {
                    client,
                    origin: ProviderOrigin::Settings,
                },
            );
        }
        Ok(handle)
    }

    /// The provider in use.
    pub fn load(&self) -> Option<Arc<dyn IdentityProvider>> {
        let current = self.current.load();
        current.as_ref().map(|own| Arc::clone(&own.provider))
    }

    /// Which provider is in use.
    pub fn describe(&self) -> Option<ProviderDescription> {
        let current = self.current.load();
        current.as_ref().map(|own| own.description.clone())
    }

    /// Puts a provider in the place of the one in use. Verifications that are under way end with
    /// the former one.
    pub fn swap(&self, provider: Arc<dyn IdentityProvider>, description: ProviderDescription) {
        self.replace(Some(InUse {
            provider,
            description,
        }));
    }

    /// A provider that is not yet in use.
    ///
    /// The client's secret is for the issuer that the service was started with: another one, whom
    /// it would tell the secret, does not get it, and nobody does where there was none.
    ///
    /// # Errors
    /// [`OidcError::Url`], [`OidcError::ClientId`], [`OidcError::Client`].
    pub fn build(&self, client: OidcClient) -> Result<OidcProvider, OidcError> {
        let mut options = self.options.clone();
        let own = self.settings.as_ref().map(|own| own.issuer.as_str());
        if own != Some(client.issuer.as_str()) {
            options.client_secret = None;
        }
        OidcProvider::new(client, options)
    }

    /// The turn to change the provider; others wait until it is dropped.
    pub async fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Puts the provider that the store has in use, unless it is.
    ///
    /// # Errors
    /// [`StoreError`]; the provider in use stays.
    pub async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.change().await;
        if let Some(stored) = store.oidc_provider().await? {
            self.adopt(stored);
        }
        Ok(())
    }

    /// What this provider and those before it counted.
    pub fn metrics(&self) -> ProviderMetrics {
        let current = self.load().map(|provider| provider.metrics());
        let former = *self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.and(current.unwrap_or_default())
    }

    fn adopt(&self, stored: StoredOidcProvider) {
        let former = self.describe();
        if let Some(ProviderDescription {
            origin: ProviderOrigin::Store { generation },
            ..
        }) = &former
            && *generation >= stored.generation
        {
            return;
        }
        let client = OidcClient {
            issuer: stored.issuer,
            client_id: stored.client_id,
        };
        let issuer = client.issuer.clone();
        match self.build(client.clone()) {
            Ok(provider) => {
                tracing::info!(
                    issuer,
                    client_id = client.client_id,
                    former_issuer = former.as_ref().map(|own| own.client.issuer.as_str()),
                    "the OIDC provider that was configured at run time is in use"
                );
                let generation = stored.generation;
                self.swap(
                    Arc::new(provider),
                    ProviderDescription {
                        client,
                        origin: ProviderOrigin::Store { generation },
                    },
                );
            }
            Err(error) => {
                // The former one was replaced: its tokens are no longer to be believed.
                tracing::error!(
                    issuer,
                    code = error.code(),
                    %error,
                    "the OIDC provider that was configured at run time cannot be used here"
                );
                self.replace(None);
            }
        }
    }

    fn replace(&self, next: Option<InUse>) {
        let former = self.current.swap(next.map(Arc::new));
        if let Some(former) = former {
            let mut sum = self.former.lock().unwrap_or_else(PoisonError::into_inner);
            *sum = sum.and(former.provider.metrics());
        }
    }
}

/// Starts a task that follows what replicas are told which have the same store. It ends when it is
/// aborted.
///
/// # Panics
/// Outside of a Tokio runtime with timers.
pub fn follow_store(handle: Arc<ProviderHandle>, store: Store) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(FOLLOW_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = handle.follow(&store).await {
                tracing::warn!(%error, "cannot ask the store for the OIDC provider");
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::ClientSecret;

    fn client(issuer: &str) -> OidcClient {
        OidcClient {
            issuer: issuer.to_owned(),
            client_id: "tokensmith".to_owned(),
        }
    }

    fn stored(issuer: &str, generation: i64) -> StoredOidcProvider {
        StoredOidcProvider {
            issuer: issuer.to_owned(),
            client_id: "tokensmith".to_owned(),
            generation,
        }
    }

    #[test]
    fn the_store_comes_first_and_never_goes_back() {
        let settings = Some(client("https://settings.example"));
        let handle = ProviderHandle::new(settings, OidcOptions::default()).unwrap();
        let issuer = || handle.load().map(|provider| provider.issuer().to_owned());
        assert_eq!(issuer().as_deref(), Some("https://settings.example"));
        handle.adopt(stored("https://two.example", 2));
        assert_eq!(issuer().as_deref(), Some("https://two.example"));
        handle.adopt(stored("https://one.example", 1));
        handle.adopt(stored("https://same.example", 2));
        assert_eq!(issuer().as_deref(), Some("https://two.example"));
        let origin = handle.describe().unwrap().origin;
        assert_eq!(origin, ProviderOrigin::Store { generation: 2 });
        // One that cannot be used here leaves none: the one before was replaced.
        handle.adopt(stored("http://elsewhere.example", 3));
        assert_eq!(issuer(), None);
    }

    #[test]
    fn the_secret_is_for_the_issuer_it_was_given_for() {
        let options = OidcOptions {
            client_secret: ClientSecret::new("s".to_owned()),
            ..OidcOptions::default()
        };
        let own = "https://settings.example";
        for (settings, issuer, introspects) in [
            (Some(own), own, true),
            (Some(own), "https://other.example", false),
            (None, "https://other.example", false),
        ] {
            let handle = ProviderHandle::new(settings.map(client), options.clone()).unwrap();
            let provider = handle.build(client(issuer)).unwrap();
            assert_eq!(provider.introspects(), introspects, "{settings:?} {issuer}");
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for (issuer, client_id) in [("http://far.example", "c"), ("https://x.example", " ")] {
            let client = OidcClient {
                issuer: issuer.to_owned(),
                client_id: client_id.to_owned(),
            };
            assert!(ProviderHandle::new(Some(client), OidcOptions::default()).is_err());
        }
    }
}

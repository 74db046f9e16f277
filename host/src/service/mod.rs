//! The HTTP service.

mod attempt_limiter;
mod audit;
mod credentials;
mod form;
mod identity_exchange;
mod introspection;
mod metrics;
mod metrics_endpoint;
mod oauth_error;
mod observe;
mod own_tokens;
mod public_documents;
mod revocation;
mod router;
mod settings;
mod signing;
mod token_endpoint;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;
use tokensmith_engine::exchange::{Issuance, UserTokenRules};
use tokio::net::TcpListener;

use crate::audit::{AuditError, AuditLog};
use crate::clock::unix_now;
use crate::config_file::{ConfigFile, ConfigFileError};
use crate::key_set::KeySetError;
use crate::oidc::{OidcError, OidcProvider};
use crate::policy_files::{PolicyLoadError, PolicyPaths};
use crate::policy_reload::{DEFAULT_INTERVAL, PolicyHandle, PolicyOrigin};
use crate::random;
use crate::signing_key::SigningKeyError;
use crate::store::{Store, StoreError};

use attempt_limiter::AttemptLimiter;
use audit::Auditor;
use metrics::Metrics;
use oauth_error::OauthError;
use own_tokens::OwnTokens;
use public_documents::PublicDocument;
use signing::ServiceKeys;

pub use settings::Settings;

/// Life of an access token in seconds.
const TOKEN_LIFETIME: i64 = 3600;
/// How long what has ended stays in the store, in seconds, for whoever looks into an incident.
const KEEP_ENDED: i64 = 7 * 24 * 3600;

/// Why the service does not start, or ends.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The settings do not fit together.
    #[error("{0}")]
    Settings(String),
    /// The configuration file.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyLoadError),
    /// The signing keys.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The folder of signing keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The OpenID provider's settings.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`: {error}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Serving ended.
    #[error("cannot serve: {0}")]
    Serve(std::io::Error),
}

/// Everything the handlers share. Immutable but for the store, the provider's keys and the
/// limiter.
struct Service {
    settings: Settings,
    keys: Arc<ServiceKeys>,
    own_tokens: OwnTokens,
    metadata: PublicDocument,
    policy: Arc<PolicyHandle>,
    rules: UserTokenRules,
    oidc: Option<Arc<OidcProvider>>,
    store: Store,
    limiter: AttemptLimiter,
    metrics: Metrics,
    auditor: Auditor,
    /// Unix time in seconds.
    started_at: i64,
}

/// A service that is listening.
pub struct Listening {
    listener: TcpListener,
    service: Arc<Service>,
}

impl Listening {
    /// Loads everything and binds the address. Nothing is served before all of it is good.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn start(settings: Settings) -> Result<Self, ServiceError> {
        let policy = PolicyHandle::load(match &settings.policy_dir {
            Some(folder) => PolicyOrigin::Folder(folder.clone()),
            None => PolicyOrigin::Paths(PolicyPaths {
                baseline: true,
                ..PolicyPaths::default()
            }),
        })?;
        let config = match &settings.config {
            Some(path) => ConfigFile::read(path)?,
            None => ConfigFile::default(),
        };
        let oidc = match &settings.oidc {
            Some(oidc) => Some(Arc::new(OidcProvider::new(oidc.clone())?)),
            None => None,
        };
        let keys = match &settings.key_file {
            Some(path) => ServiceKeys::of_file(path)?,
            None => ServiceKeys::of_folder(&settings.key_dir, settings.rotate_every)?,
        };
        let audit_log = settings
            .audit_log
            .as_deref()
            .map(AuditLog::open)
            .transpose()?;
        let store = Store::open(&settings.store).await?;
        let listener =
            TcpListener::bind(settings.listen)
                .await
                .map_err(|error| ServiceError::Listen {
                    address: settings.listen,
                    error,
                })?;
        let service = Service {
            own_tokens: OwnTokens::new(
                &settings.issuer,
                keys.current().published.iter().map(|key| key.jwk()),
            ),
            metadata: public_documents::metadata(&settings.issuer),
            rules: config.into_rules(settings.audiences.clone()),
            keys: Arc::new(keys),
            policy: Arc::new(policy),
            oidc,
            store,
            limiter: AttemptLimiter::default(),
            metrics: Metrics::default(),
            auditor: Auditor::new(audit_log),
            started_at: unix_now(),
            settings,
        };
        Ok(Self {
            listener,
            service: Arc::new(service),
        })
    }

    /// The address listened on, with the port that the system chose if it was to choose one.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then ends what is running.
    ///
    /// # Errors
    /// [`ServiceError::Serve`].
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServiceError> {
        let store = self.service.store.clone();
        let purging = tokio::spawn(purge_hourly(store.clone()));
        let watching = Arc::clone(&self.service.policy).watch(DEFAULT_INTERVAL);
        let service = Arc::clone(&self.service);
        let following = Arc::clone(&self.service.keys).watch(move |keys| {
            let published = keys.published.iter().map(|key| key.jwk());
            service.own_tokens.set_keys(published);
        });
        let router =
            router::router(self.service).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, router)
            .with_graceful_shutdown(shutdown)
            .await;
        purging.abort();
        watching.abort();
        following.abort();
        store.close().await;
        served.map_err(ServiceError::Serve)
    }
}

impl Service {
    /// Mints a token from claims that are made with fresh random values.
    fn mint<E: Into<OauthError>>(
        &self,
        claims: impl FnOnce(&Issuance<'_>) -> Result<Map<String, Value>, E>,
    ) -> Result<Minted, OauthError> {
        let (jti, nonce) = (
            random::identifier().map_err(OauthError::internal)?,
            random::opaque_token().map_err(OauthError::internal)?,
        );
        let claims = claims(&Issuance {
            issuer: &self.settings.issuer,
            cluster_id: &self.settings.cluster_id,
            openchami_id: &self.settings.openchami_id,
            now: unix_now(),
            lifetime: TOKEN_LIFETIME,
            jti: &jti,
            nonce: &nonce,
        })
        .map_err(Into::into)?;
        let keys = self.keys.current();
        let key = &keys.signing;
        let token = key.sign(&claims).map_err(OauthError::internal)?;
        Ok(Minted {
            token,
            claims,
            kid: key.jwk().thumbprint(),
        })
    }
}

/// A signed token and what is in it.
struct Minted {
    token: String,
    claims: Map<String, Value>,
    /// Of the key that signed it.
    kid: String,
}

async fn purge_hourly(store: Store) {
    let mut interval = tokio::time::interval(Duration::from_secs(3600));
    loop {
        interval.tick().await;
        match store.purge(unix_now().saturating_sub(KEEP_ENDED)).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed ended tokens from the store"),
            Err(error) => tracing::warn!(%error, "cannot remove ended tokens"),
        }
    }
}

//! The HTTP service.

mod attempt_limiter;
mod audit;
mod caller;
mod clients;
mod credentials;
mod form;
mod identity_exchange;
#[cfg(feature = "ui")]
mod inspector_ui;
mod introspection;
mod metrics;
mod metrics_endpoint;
mod oauth_error;
mod observe;
mod oidc_admin;
mod openapi;
mod own_tokens;
mod plugins;
mod policy_bundle;
mod public_documents;
mod revocation;
mod router;
mod settings;
mod signing;
mod to_the_end;
mod token;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;
use tokensmith_engine::exchange::{
    ExchangeError, ExchangePolicy, ExchangePolicyError, Issuance, RegistrationError,
    ServiceIdentity, UserTokenRules, as_at_jwt, service_claims, session_claims,
};
use tokio::sync::watch;

use crate::audit::{AuditError, AuditLog};
use crate::clock::unix_now;
use crate::ext_authz::{Authorization, ExtAuthz, ExtAuthzError, ExtAuthzSettings};
use crate::key_set::KeySetError;
use crate::listener::{self, Bound, ListenAddress, ListenError, TlsError, TlsKeeper};
use crate::oidc::{OidcError, ProviderHandle, follow_store};
use crate::plugins::{PluginError, Plugins};
use crate::policy_files::{PolicyLoadError, PolicyPaths};
use crate::policy_reload::{self, DEFAULT_INTERVAL, PolicyHandle, PolicyOrigin};
use crate::random;
use crate::signing_key::SigningKeyError;
use crate::store::{Family, FamilyOrigin, Store, StoreError};

use attempt_limiter::AttemptLimiter;
use audit::Auditor;
use clients::Clients;
use metrics::Metrics;
use oauth_error::OauthError;
use own_tokens::OwnTokens;
use policy_bundle::PolicyBundles;
use public_documents::PublicDocument;
use signing::ServiceKeys;
use to_the_end::to_the_end;

pub use clients::ClientsError;
pub use settings::{
    AccessTokenType, AdminListen, ExtAuthzPlace, Origin, Settings, ShownSetting, ShownValue,
};

/// How long what has ended stays in the store, in seconds, for whoever looks into an incident.
const KEEP_ENDED: i64 = 7 * 24 * 3600;

/// Why the service does not start, or ends.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The settings do not fit together.
    #[error("{0}")]
    Settings(String),
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
    /// The registered clients.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The services that have certificates.
    #[error("`service_identities`: {0}")]
    ServiceIdentities(RegistrationError),
    /// The rules of token exchange.
    #[error("`exchange`: {0}")]
    ExchangePolicy(#[from] ExchangePolicyError),
    /// The OpenID provider's settings.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// External authorization.
    #[error(transparent)]
    ExtAuthz(#[from] ExtAuthzError),
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The plugins.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

/// Everything the handlers share. Immutable but for the store, the provider's keys and the
/// limiter.
struct Service {
    settings: Settings,
    keys: Arc<ServiceKeys>,
    own_tokens: OwnTokens,
    metadata: PublicDocument,
    openapi: PublicDocument,
    policy: Arc<PolicyHandle>,
    rules: UserTokenRules,
    oidc: Arc<ProviderHandle>,
    clients: Clients,
    service_identities: Vec<ServiceIdentity>,
    exchange_policy: ExchangePolicy,
    plugins: Arc<Plugins>,
    store: Store,
    limiter: AttemptLimiter,
    metrics: Metrics,
    auditor: Auditor,
    policy_bundles: PolicyBundles,
    ext_authz: Option<Arc<Authorization>>,
    /// Unix time in seconds.
    started_at: i64,
}

/// A service that is listening.
pub struct Listening {
    public: Bound,
    admin: Option<Bound>,
    tls: Option<Arc<TlsKeeper>>,
    ext_authz: Option<ExtAuthz>,
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
        let config = settings.config.clone();
        let clients = Clients::new(config.clients.clone())?;
        let service_identities = config.service_identities.clone();
        ServiceIdentity::check_all(&service_identities).map_err(ServiceError::ServiceIdentities)?;
        let exchange_policy = ExchangePolicy::new(config.exchange.clone())?;
        let plugins = Arc::new(Plugins::load(&config.plugins)?);
        let oidc = ProviderHandle::new(settings.oidc.clone(), settings.oidc_options.clone())?;
        let oidc = Arc::new(oidc);
        let keys = match &settings.key_file {
            Some(path) => ServiceKeys::of_file(path)?,
            None => ServiceKeys::of_folder(
                &settings.key_dir,
                settings.rotate_every,
                settings.token_lifetime,
            )?,
        };
        let tls = match &settings.tls {
            Some(files) => Some(Arc::new(TlsKeeper::load(files.clone())?)),
            None => None,
        };
        let audit_log = settings
            .audit_log
            .as_deref()
            .map(AuditLog::open)
            .transpose()?;
        let store = Store::open(&settings.store).await?;
        // What was configured while a service ran comes before the settings.
        oidc.follow(&store).await?;
        let public = listener::bind(&ListenAddress::Tcp(settings.listen)).await?;
        let admin = match &settings.admin_listen {
            Some(address) => Some(listener::bind(address).await?),
            None => None,
        };
        let ext_authz = match &settings.ext_authz {
            Some(place) => {
                let own = ExtAuthzSettings {
                    listen: place.listen.clone(),
                    config: place.config.clone(),
                    limits: settings.limits,
                };
                Some(ExtAuthz::start(&own).await?)
            }
            None => None,
        };
        let service = Service {
            own_tokens: OwnTokens::new(
                &settings.issuer,
                keys.current().published.iter().map(|key| key.jwk()),
            ),
            metadata: public_documents::metadata(&settings.issuer),
            openapi: openapi::document(&settings.issuer),
            rules: config.into_rules(settings.audiences.clone()),
            keys: Arc::new(keys),
            policy: Arc::new(policy),
            oidc,
            clients,
            service_identities,
            exchange_policy,
            plugins,
            policy_bundles: PolicyBundles::new(policy_bundle::DEFAULT_LIFETIME),
            ext_authz: ext_authz.as_ref().map(ExtAuthz::authorization),
            auditor: Auditor::new(audit_log, &store).await,
            store,
            limiter: AttemptLimiter::default(),
            metrics: Metrics::default(),
            started_at: unix_now(),
            settings,
        };
        Ok(Self {
            public,
            admin,
            tls,
            ext_authz,
            service: Arc::new(service),
        })
    }

    /// The URL of the public endpoints at the address listened on, with the port that the system
    /// chose if it was to choose one.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.public.address())
    }

    /// The address of the admin endpoints.
    pub fn admin_address(&self) -> Option<&ListenAddress> {
        self.admin.as_ref().map(Bound::address)
    }

    /// Serves until `shutdown`, then ends what is running.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let Self {
            public,
            admin,
            tls,
            ext_authz,
            service,
        } = self;
        let mut tasks = vec![
            tokio::spawn(purge_hourly(service.store.clone())),
            policy_reload::watch(Arc::clone(&service.policy), DEFAULT_INTERVAL),
            follow_store(Arc::clone(&service.oidc), service.store.clone()),
        ];
        let own_tokens = Arc::clone(&service);
        tasks.push(Arc::clone(&service.keys).watch(move |keys| {
            let published = keys.published.iter().map(|key| key.jwk());
            own_tokens.own_tokens.set_keys(published);
        }));
        tasks.extend(tls.clone().map(TlsKeeper::watch));
        tasks.extend(Arc::clone(&service.plugins).watch(DEFAULT_INTERVAL));
        let limits = service.settings.limits;
        let trusted = service.settings.trusted_proxies.clone();
        let (stop, stopped) = watch::channel(());
        let ended = |mut stopped: watch::Receiver<()>| async move {
            drop(stopped.changed().await);
        };
        let admin_router = router::admin(Arc::clone(&service));
        let public = public.serve(
            router::public(Arc::clone(&service)),
            tls,
            limits,
            trusted,
            ended(stopped.clone()),
        );
        let ext_authz_ended = ended(stopped.clone());
        let admin = async {
            if let Some(admin) = admin {
                let ended = ended(stopped);
                admin
                    .serve(admin_router, None, limits, Vec::new(), ended)
                    .await;
            }
        };
        let ext_authz = async {
            if let Some(ext_authz) = ext_authz {
                ext_authz.serve(ext_authz_ended).await;
            }
        };
        let stopping = async {
            shutdown.await;
            drop(stop);
        };
        tokio::join!(public, admin, ext_authz, stopping);
        for task in tasks {
            task.abort();
        }
        service.store.close().await;
    }
}

impl Service {
    /// The client that a token without `client_id` is issued to: a service itself, and for a user
    /// the client that the user signed in to.
    fn client_of(&self, claims: &Map<String, Value>) -> String {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("principal_type") == "service" {
            return text("sub").to_owned();
        }
        let provider = self.oidc.describe();
        provider.map_or_else(String::new, |provider| provider.client.client_id)
    }

    /// What the service supplies for a token.
    fn issuance<'a>(&'a self, jti: &'a str, nonce: &'a str) -> Issuance<'a> {
        Issuance {
            issuer: &self.settings.issuer,
            cluster_id: &self.settings.cluster_id,
            openchami_id: &self.settings.openchami_id,
            now: unix_now(),
            lifetime: self.settings.token_lifetime,
            jti,
            nonce,
        }
    }

    /// Mints a token from claims that are made with fresh random values.
    fn mint<E: Into<OauthError>>(
        &self,
        claims: impl FnOnce(&Issuance<'_>) -> Result<Map<String, Value>, E>,
    ) -> Result<Minted, OauthError> {
        let (jti, nonce) = (
            random::identifier().map_err(OauthError::internal)?,
            random::opaque_token().map_err(OauthError::internal)?,
        );
        let claims = claims(&self.issuance(&jti, &nonce)).map_err(Into::into)?;
        let keys = self.keys.current();
        let key = &keys.signing;
        let claims = match self.settings.access_token_type {
            AccessTokenType::Jwt => claims,
            AccessTokenType::AtJwt => {
                let client = self.client_of(&claims);
                as_at_jwt(claims, &client)
            }
        };
        let typ = self.settings.access_token_type.name();
        let token = key.sign_as(typ, &claims).map_err(OauthError::internal)?;
        Ok(Minted {
            token,
            claims,
            kid: key.jwk().thumbprint(),
            rules: Vec::new(),
        })
    }
}

impl Service {
    /// Mints an access token of a refresh family, with what it grants or less.
    fn mint_for_family(
        &self,
        family: &Family,
        narrowing: &Narrowing,
    ) -> Result<Minted, OauthError> {
        let grant = family
            .grant
            .narrowed(&narrowing.targets, narrowing.scopes.as_deref())
            .map_err(|error| OauthError::refused_exchange(&error))?;
        self.mint(|issuance| {
            Ok::<_, ExchangeError>(match family.origin {
                FamilyOrigin::Bootstrap => service_claims(&grant, &family.id, issuance),
                FamilyOrigin::Session => {
                    session_claims(&grant, &family.id, family.confirmation.as_deref(), issuance)
                }
            })
        })
    }
}

/// What a caller asks for of what it is granted: all without.
#[derive(Debug, Default)]
struct Narrowing {
    /// `audience` and `resource`.
    targets: Vec<String>,
    /// `scope`.
    scopes: Option<Vec<String>>,
}

/// A signed token and what is in it.
struct Minted {
    token: String,
    claims: Map<String, Value>,
    /// Of the key that signed it.
    kid: String,
    /// The exchange rules that allowed it.
    rules: Vec<String>,
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

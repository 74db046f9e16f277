use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokensmith_engine::decide::{Config, ConfigError, Decider, DecisionRecord, Memory, Request};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::KeySources;
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_policy_files::PolicyPaths;
use tokensmith_policy_files::reload::{DEFAULT_INTERVAL, PolicyHandle, PolicyOrigin};

use crate::bundle::{BundleFollower, Purpose};
use crate::current::{Clock, Observer, Options, Shared, unix_now};
use crate::head::Needs;
use crate::header_edits::HeaderNames;
use crate::{Fetch, TokenSmith, TowerError, key_refresh, policy_follow};

/// What a [`TokenSmith`] is started with.
pub struct Builder {
    config: Config,
    policy: Option<Policy>,
    policy_interval: Duration,
    fetch: Option<Arc<dyn Fetch>>,
    identity_headers: bool,
    scheme: Option<&'static str>,
    observer: Option<Observer>,
    clock: Clock,
    bundle_state: Option<PathBuf>,
}

enum Policy {
    Origin(PolicyOrigin),
    Handle(Arc<PolicyHandle>),
}

impl Builder {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            policy: None,
            policy_interval: DEFAULT_INTERVAL,
            fetch: None,
            identity_headers: true,
            scheme: None,
            observer: None,
            clock: Arc::new(unix_now),
            bundle_state: None,
        }
    }

    /// Takes the policy from files and folders, and follows them.
    #[must_use]
    pub fn policy_files(mut self, paths: PolicyPaths) -> Self {
        self.policy = Some(Policy::Origin(PolicyOrigin::Paths(paths)));
        self
    }

    /// Takes the policy from a folder: `model.conf` if it is there, and every `*.csv`, added to
    /// the baseline rules (to nothing when the folder has its own model). It is followed.
    #[must_use]
    pub fn policy_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.policy = Some(Policy::Origin(PolicyOrigin::Folder(folder.into())));
        self
    }

    /// Takes the policy that a handle has, and follows it.
    #[must_use]
    pub fn policy(mut self, policy: Arc<PolicyHandle>) -> Self {
        self.policy = Some(Policy::Handle(policy));
        self
    }

    /// How often the policy's files are looked at; ten seconds without.
    #[must_use]
    pub fn policy_interval(mut self, interval: Duration) -> Self {
        self.policy_interval = interval;
        self
    }

    /// What fetches keys and policy bundles; reqwest without, where that feature is enabled.
    #[must_use]
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Keeps in this file, across restarts, which policy bundle was the newest: without it an
    /// older one is good after a restart. It belongs where nobody else can write.
    #[must_use]
    pub fn bundle_state(mut self, path: impl Into<PathBuf>) -> Self {
        self.bundle_state = Some(path.into());
        self
    }

    /// Whether what a token says is put into the request's headers, as the Envoy filter does;
    /// yes without. Copies that callers sent are removed all the same.
    #[must_use]
    pub fn identity_headers(mut self, identity_headers: bool) -> Self {
        self.identity_headers = identity_headers;
        self
    }

    /// Says that callers use `https`, where something before this process ends TLS. DPoP proofs
    /// name it (RFC 9449 section 4.3).
    #[must_use]
    pub fn behind_tls(mut self) -> Self {
        self.scheme = Some("https");
        self
    }

    /// Is told of each decision before it is carried out. Requests of public routes and in mode
    /// off are told of too.
    #[must_use]
    pub fn on_decision(
        mut self,
        observer: impl Fn(&DecisionRecord<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The clock, Unix time in seconds, for tests.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(now);
        self
    }

    /// Compiles the configuration and starts to follow its keys and policy. Keys that have to be
    /// fetched are missing until they are: requests wait for them as `key_wait` says, and
    /// [`TokenSmith::ready`] waits too.
    ///
    /// # Errors
    /// [`TowerError`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime with timers, where something is followed.
    pub fn start(self) -> Result<TokenSmith, TowerError> {
        let Self {
            config,
            policy,
            policy_interval,
            fetch,
            identity_headers,
            scheme,
            observer,
            clock,
            bundle_state,
        } = self;
        if policy.is_some() && config.policy.is_some() {
            return Err(TowerError::TwoPolicies);
        }
        check_urls(&config)?;
        let limits = Limits::default();
        let mut decider = Decider::new(&config, limits.clone(), AwsLc)?;
        let policy = match policy {
            None => None,
            Some(Policy::Handle(handle)) => Some(handle),
            Some(Policy::Origin(origin)) => Some(Arc::new(PolicyHandle::load(origin)?)),
        };
        if let Some(policy) = &policy {
            decider.set_policy(policy.current())?;
        }
        let seed = RandomState::new().build_hasher().finish();
        let keys = KeySources::new(config.key_sources(&limits)?, &AwsLc, seed);
        let has_remotes = keys.has_remotes();
        let bundles = bundles(&config, &limits, bundle_state, seed)?;
        let fetch = fetch_for(&config, has_remotes || !bundles.is_empty(), fetch)?;
        let options = Options {
            names: HeaderNames::new(header_names(&decider)),
            identity_headers,
            needs: Needs {
                headers: decider.reads_headers().to_vec(),
                authority: decider.reads_authority(),
                preflight: decider.reads_preflight(),
                scheme,
            },
            clock,
            observer,
            key_wait: config.key_wait,
            issuers: config
                .issuers
                .iter()
                .map(|own| own.issuer.clone())
                .collect(),
            routes: config.routes.len(),
            policy_source: policy_source(&config, policy.is_some()),
            limits,
        };
        let shared = Arc::new(Shared::new(decider, keys, config.cache.entries, options));
        if let Some(policy) = policy {
            let following =
                policy_follow::following(Arc::downgrade(&shared), policy, policy_interval);
            tokio::spawn(following);
        }
        if let Some(fetch) = fetch {
            if has_remotes {
                let weak = Arc::downgrade(&shared);
                tokio::spawn(key_refresh::refreshing(weak, Arc::clone(&fetch)));
            }
            for bundle in bundles {
                tokio::spawn(bundle.following(Arc::downgrade(&shared), Arc::clone(&fetch)));
            }
        }
        let tokensmith = TokenSmith { shared };
        log(&tokensmith);
        Ok(tokensmith)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// One line, without secrets.
fn log(tokensmith: &TokenSmith) {
    let own = tokensmith.diagnostics();
    let issuers: Vec<&str> = own.issuers.iter().map(|own| own.issuer.as_str()).collect();
    tracing::info!(
        mode = own.mode,
        policy_version = own.policy_version.as_str(),
        policy_source = own.policy_source,
        issuers = issuers.join(" "),
        routes = own.routes,
        "requests are authenticated and authorized"
    );
}

fn bundles(
    config: &Config,
    limits: &Limits,
    state: Option<PathBuf>,
    seed: u64,
) -> Result<Vec<BundleFollower>, TowerError> {
    let mut bundles = Vec::new();
    if let Some(source) = config.policy_bundle(limits)? {
        bundles.push(BundleFollower::new(source, Purpose::Enforced, state, seed)?);
    }
    if let Some(source) = config.shadow_policy_bundle(limits)? {
        // An old policy that is only recorded lets nobody in.
        bundles.push(BundleFollower::new(source, Purpose::Shadow, None, seed)?);
    }
    Ok(bundles)
}

/// What fetches, if anything has to be.
fn fetch_for(
    config: &Config,
    needed: bool,
    given: Option<Arc<dyn Fetch>>,
) -> Result<Option<Arc<dyn Fetch>>, TowerError> {
    if !needed || given.is_some() {
        return Ok(given);
    }
    let keys = config
        .issuers
        .iter()
        .find_map(|own| own.jwks_uri.as_deref());
    default_fetch(keys.unwrap_or("the policy bundle")).map(Some)
}

#[cfg(feature = "reqwest")]
fn default_fetch(_what: &str) -> Result<Arc<dyn Fetch>, TowerError> {
    Ok(Arc::new(crate::ReqwestFetch::new()?))
}

#[cfg(not(feature = "reqwest"))]
fn default_fetch(what: &str) -> Result<Arc<dyn Fetch>, TowerError> {
    Err(TowerError::NoFetch(what.to_owned()))
}

fn check_urls(config: &Config) -> Result<(), ConfigError> {
    let mut urls: Vec<(String, &str)> = Vec::new();
    for (index, issuer) in config.issuers.iter().enumerate() {
        if let Some(url) = &issuer.jwks_uri {
            urls.push((format!("issuers[{index}].jwks_uri"), url.as_str()));
        }
    }
    for (name, policy) in [
        ("policy", &config.policy),
        ("shadow_policy", &config.shadow_policy),
    ] {
        let Some(policy) = policy else {
            continue;
        };
        for (field, url) in [
            ("bundle_uri", &policy.bundle_uri),
            ("bundle_jwks_uri", &policy.bundle_jwks_uri),
        ] {
            if let Some(url) = url {
                urls.push((format!("{name}.{field}"), url.as_str()));
            }
        }
    }
    for (field, url) in urls {
        let parsed = url.parse::<Uri>().ok();
        let parsed = parsed.as_ref().filter(|url| url.host().is_some());
        match parsed.and_then(Uri::scheme_str) {
            Some("https") => {}
            Some("http") => tracing::warn!(
                field = field.as_str(),
                url,
                "keys or policies are fetched without TLS: whoever is on the way can give others"
            ),
            _ => {
                return Err(ConfigError::Field {
                    field,
                    message: format!("`{url}` is not an http or https URL"),
                });
            }
        }
    }
    Ok(())
}

fn policy_source(config: &Config, files: bool) -> &'static str {
    match &config.policy {
        _ if files => "files",
        None => "baseline",
        Some(policy) if policy.bundle_uri.is_some() => "bundle",
        Some(_) => "config",
    }
}

/// The names that every decision's headers have: those of one that costs nothing.
fn header_names(decider: &Decider) -> Vec<String> {
    let mut none = Memory::new(0, [0; 16]);
    let outcome = decider.decide(&Request::default(), &KeyRing::default(), &mut none, 0);
    outcome.strip.to_vec()
}

use super::{Config, ConfigError, PolicyConfig, WantedKey};
use crate::jose::{JwkSet, Limits};
use crate::keys::{Fetch, IssuerSource, KeySources, Origin, RefreshPolicy};

/// Where a policy bundle comes from, and the keys it is signed with.
#[derive(Clone, Debug)]
pub struct BundleSource {
    /// Where it is fetched from.
    pub uri: String,
    /// The Envoy cluster that reaches it.
    pub cluster: Option<String>,
    /// The bundle's exact `iss`.
    pub issuer: String,
    /// The keys of this issuer, for [`KeySources`] of their own.
    pub keys: IssuerSource,
    /// The Envoy cluster that reaches the keys, where they are fetched.
    pub keys_cluster: Option<String>,
}

impl Config {
    /// Where the keys of the issuers come from, in the order of [`Config::issuers`].
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a `jwks` that is not a JWK set, has no key, or has one that
    /// cannot be used.
    pub fn key_sources(&self, limits: &Limits) -> Result<Vec<IssuerSource>, ConfigError> {
        self.issuers
            .iter()
            .enumerate()
            .map(|(index, issuer)| {
                let field = format!("issuers[{index}].jwks");
                let origin = match &issuer.jwks {
                    Some(document) => configured(&document.to_string(), &field, limits)?,
                    None => remote(issuer.jwks_uri.as_deref()),
                };
                Ok(IssuerSource {
                    issuer: issuer.issuer.clone(),
                    origin,
                })
            })
            .collect()
    }

    /// Where the policy comes from, if it is in a bundle.
    ///
    /// # Errors
    /// [`ConfigError::Field`] as of [`Config::key_sources`], for `bundle_jwks`.
    pub fn policy_bundle(&self, limits: &Limits) -> Result<Option<BundleSource>, ConfigError> {
        bundle(self.policy.as_ref(), "policy", limits)
    }

    /// Where the shadow policy comes from, if it is in a bundle.
    ///
    /// # Errors
    /// As [`Config::policy_bundle`].
    pub fn shadow_policy_bundle(
        &self,
        limits: &Limits,
    ) -> Result<Option<BundleSource>, ConfigError> {
        bundle(self.shadow_policy.as_ref(), "shadow_policy", limits)
    }
}

/// The keys that tokens named and that are not loaded, from one look for them to the next. Of one
/// issuer only a few are kept: one fetch brings them all.
///
/// ```
/// use tokensmith_engine::decide::{WantedKey, WantedKeys};
/// let mut wanted = WantedKeys::default();
/// let key = WantedKey { issuer: "https://a.example".into(), kid: Some("a".into()) };
/// assert!(wanted.note(&key));
/// assert!(!wanted.note(&key), "it is known already");
/// ```
#[derive(Clone, Debug, Default)]
pub struct WantedKeys(Vec<WantedKey>);

impl WantedKeys {
    const OF_ONE_ISSUER: usize = 8;

    /// Notes a key; whether it was new, and there was room for it.
    pub fn note(&mut self, key: &WantedKey) -> bool {
        let own = self.0.iter().filter(|own| own.issuer == key.issuer);
        let is_new = own.count() < Self::OF_ONE_ISSUER && !self.0.contains(key);
        if is_new {
            self.0.push(key.clone());
        }
        is_new
    }

    /// Forgets the keys, and gives the fetches to make at `now` (Unix time in seconds): those that
    /// may bring them, and those that are due anyway.
    pub fn fetches(&mut self, keys: &mut KeySources, now: i64) -> Vec<Fetch> {
        let mut fetches: Vec<Fetch> = std::mem::take(&mut self.0)
            .into_iter()
            .filter_map(|WantedKey { issuer, kid }| keys.unknown_kid(&issuer, &kid?, now))
            .collect();
        fetches.extend(keys.poll(now));
        fetches
    }
}

fn bundle(
    policy: Option<&PolicyConfig>,
    field: &str,
    limits: &Limits,
) -> Result<Option<BundleSource>, ConfigError> {
    let Some((own, uri)) = policy.and_then(|own| Some((own, own.bundle_uri.clone()?))) else {
        return Ok(None);
    };
    let issuer = own.bundle_issuer.clone().unwrap_or_default();
    let field = format!("{field}.bundle_jwks");
    let origin = match &own.bundle_jwks {
        Some(document) => configured(&document.to_string(), &field, limits)?,
        None => remote(own.bundle_jwks_uri.as_deref()),
    };
    Ok(Some(BundleSource {
        uri,
        cluster: own.bundle_cluster.clone(),
        keys: IssuerSource {
            issuer: issuer.clone(),
            origin,
        },
        issuer,
        keys_cluster: own
            .bundle_jwks_cluster
            .clone()
            .or_else(|| own.bundle_cluster.clone()),
    }))
}

fn remote(uri: Option<&str>) -> Origin {
    Origin::Remote {
        url: uri.unwrap_or_default().to_owned(),
        policy: RefreshPolicy::default(),
    }
}

fn configured(text: &str, field: &str, limits: &Limits) -> Result<Origin, ConfigError> {
    let refused = |message: String| ConfigError::field(field, message);
    let set = JwkSet::parse(text.as_bytes(), limits).map_err(|error| refused(error.to_string()))?;
    match set.rejected.first() {
        // Unlike a fetched set, a configured one was written by the operator: a bad key is a mistake.
        Some(rejected) => Err(refused(format!(
            "keys[{}]: {}",
            rejected.index, rejected.error
        ))),
        None if set.keys.is_empty() => Err(refused("has no key".to_owned())),
        None => Ok(Origin::Configured(set)),
    }
}

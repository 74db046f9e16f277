use super::{Config, ConfigError, WantedKey};
use crate::jose::{JwkSet, Limits};
use crate::keys::{Fetch, IssuerSource, KeySources, Origin, RefreshPolicy};

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
                let origin = match &issuer.jwks {
                    Some(document) => {
                        let field = format!("issuers[{index}].jwks");
                        Origin::Configured(configured(&document.to_string(), &field, limits)?)
                    }
                    None => Origin::Remote {
                        url: issuer.jwks_uri.clone().unwrap_or_default(),
                        policy: RefreshPolicy::default(),
                    },
                };
                Ok(IssuerSource {
                    issuer: issuer.issuer.clone(),
                    origin,
                })
            })
            .collect()
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

fn configured(text: &str, field: &str, limits: &Limits) -> Result<JwkSet, ConfigError> {
    let refused = |message: String| ConfigError::field(field, message);
    let set = JwkSet::parse(text.as_bytes(), limits).map_err(|error| refused(error.to_string()))?;
    match set.rejected.first() {
        // Unlike a fetched set, a configured one was written by the operator: a bad key is a mistake.
        Some(rejected) => Err(refused(format!(
            "keys[{}]: {}",
            rejected.index, rejected.error
        ))),
        None if set.keys.is_empty() => Err(refused("has no key".to_owned())),
        None => Ok(set),
    }
}

use serde::Deserialize;
use serde_json::Value;
use tokensmith_engine::claims::{ClaimRules, DEFAULT_LEEWAY, MAX_LEEWAY, Profile, Requirements};
use tokensmith_engine::jose::{JwkError, JwkSet, Limits};
use tokensmith_engine::keys::{ExportedKeys, IssuerSource, Origin, RefreshPolicy};
use tokensmith_engine::principal::PrincipalMapping;

/// Verified tokens that are remembered unless something else is said.
const CACHE: usize = 1000;
/// More would only take memory.
const MAX_CACHE: usize = 100_000;
/// The form of exported keys that is read; any other is left aside.
pub(crate) const EXPORT_VERSION: u32 = 1;

/// What `createVerifier` was called with, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) issuers: Vec<IssuerOptions>,
    #[serde(default = "cache")]
    pub(crate) cache: usize,
    #[serde(default)]
    jwks_cache: Option<Exported>,
}

/// One issuer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct IssuerOptions {
    issuer: String,
    audience: OneOrMany,
    #[serde(default)]
    jwks_uri: Option<String>,
    #[serde(default)]
    jwks: Option<Value>,
    #[serde(default)]
    clock_tolerance: Option<i64>,
    #[serde(default)]
    profile: ProfileName,
    #[serde(default)]
    require: Requirements,
    #[serde(default)]
    principal: PrincipalMapping,
}

/// What `exportKeys` gave.
#[derive(Deserialize)]
struct Exported {
    version: u32,
    #[serde(default)]
    keys: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    #[default]
    Tokensmith,
    Generic,
}

impl Options {
    /// Reads and checks the options; the error is a sentence for the developer.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if options.issuers.is_empty() {
            return Err("`issuers` is empty".to_owned());
        }
        if options.cache > MAX_CACHE {
            let cache = options.cache;
            return Err(format!(
                "`cache` is `{cache}`, it has to be 0 to {MAX_CACHE} tokens"
            ));
        }
        for (index, own) in options.issuers.iter().enumerate() {
            own.check()?;
            let mut earlier = options.issuers.iter().take(index);
            if earlier.any(|other| other.issuer == own.issuer) {
                return Err(format!("issuer `{}` is there twice", own.issuer));
            }
        }
        Ok(options)
    }

    /// The keys to begin with.
    pub(crate) fn exported_keys(&self) -> Result<Vec<ExportedKeys>, String> {
        match &self.jwks_cache {
            Some(exported) if exported.version == EXPORT_VERSION => {
                Vec::deserialize(&exported.keys).map_err(|error| format!("`jwksCache`: {error}"))
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl IssuerOptions {
    pub(crate) fn rules(&self) -> ClaimRules {
        ClaimRules {
            issuer: self.issuer.clone(),
            audiences: self.audiences().to_vec(),
            profile: match self.profile {
                ProfileName::Tokensmith => Profile::TokenSmith,
                ProfileName::Generic => Profile::Generic,
            },
            leeway: self.leeway(),
            requirements: self.require.clone(),
            principal: self.principal.clone(),
        }
    }

    /// Where the keys come from.
    pub(crate) fn source(&self, limits: &Limits) -> Result<IssuerSource, JwkError> {
        let origin = match (&self.jwks_uri, &self.jwks) {
            (Some(url), _) => Origin::Remote {
                url: url.clone(),
                policy: RefreshPolicy::default(),
            },
            (None, jwks) => {
                let text = jwks.as_ref().map(Value::to_string).unwrap_or_default();
                Origin::Configured(JwkSet::parse(text.as_bytes(), limits)?)
            }
        };
        Ok(IssuerSource {
            issuer: self.issuer.clone(),
            origin,
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.issuer.is_empty() {
            return Err("`issuer` is empty".to_owned());
        }
        if self.audiences().is_empty() {
            return Err("`audience` is empty".to_owned());
        }
        if self.jwks.is_some() == self.jwks_uri.is_some() {
            return Err("exactly one of `jwks` and `jwksUri` is needed".to_owned());
        }
        let leeway = self.leeway();
        if !(0..=MAX_LEEWAY).contains(&leeway) {
            return Err(format!(
                "`clockTolerance` is `{leeway}`, it has to be 0 to {MAX_LEEWAY} seconds"
            ));
        }
        self.principal
            .check()
            .map_err(|(place, message)| format!("`principal.{place}`: {message}"))
    }

    fn audiences(&self) -> &[String] {
        match &self.audience {
            OneOrMany::One(audience) => std::slice::from_ref(audience),
            OneOrMany::Many(audiences) => audiences,
        }
    }

    fn leeway(&self) -> i64 {
        self.clock_tolerance.unwrap_or(DEFAULT_LEEWAY)
    }
}

fn cache() -> usize {
    CACHE
}

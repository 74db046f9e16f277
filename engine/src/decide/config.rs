use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::RouteConfig;
use crate::claims::{DEFAULT_LEEWAY, MAX_LEEWAY, Profile, Requirements};
use crate::principal::PrincipalMapping;

/// The configuration of a request decision: what the Envoy filter takes as its plugin
/// configuration. Unknown fields are errors.
///
/// ```
/// use tokensmith_engine::decide::Config;
/// let error = Config::from_json(br#"{"issuers":[],"mod":"enforce"}"#).unwrap_err();
/// assert!(error.to_string().contains("unknown field `mod`"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose tokens are accepted.
    pub issuers: Vec<IssuerConfig>,
    /// Off, shadow or enforce.
    #[serde(default)]
    pub mode: Mode,
    /// The route table.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// What becomes of requests that no route matches.
    #[serde(default)]
    pub default_route: DefaultRoute,
    /// The policy; the baseline when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyConfig>,
    /// Claims to hand on as request headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_headers: Vec<ClaimHeader>,
    /// The cache of verified tokens.
    #[serde(default)]
    pub cache: CacheConfig,
}

/// One accepted issuer and where its keys are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The exact `iss`.
    pub issuer: String,
    /// Accepted `aud` values, at least one.
    pub audiences: Vec<String>,
    /// The keys themselves, a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where the keys are fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The Envoy cluster that reaches `jwks_uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_cluster: Option<String>,
    /// Claims required.
    #[serde(default)]
    pub profile: ProfileName,
    /// Leeway in seconds.
    #[serde(default = "default_leeway")]
    pub clock_skew_s: i64,
    /// What is required beyond the profile.
    #[serde(default)]
    pub require: Requirements,
    /// How the claims become a principal.
    #[serde(default)]
    pub principal: PrincipalMapping,
}

/// [`Profile`] as configuration spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// [`Profile::TokenSmith`].
    #[default]
    TokenSmith,
    /// [`Profile::Generic`].
    Generic,
}

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is checked.
    Off,
    /// Tokens are checked and enforced; authorization is decided and recorded, never enforced.
    Shadow,
    /// Everything is enforced.
    #[default]
    Enforce,
}

/// What becomes of requests that no route matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultRoute {
    /// Denied.
    #[default]
    Deny,
    /// Decided with the path as object and the method as action.
    PathMethod,
}

/// Where the policy is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Casbin model text; the baseline model when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Casbin rules as CSV.
    pub rules: String,
}

/// A claim to hand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimHeader {
    /// The claim's name.
    pub claim: String,
    /// The request header's name.
    pub header: String,
}

/// The cache of verified tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Most tokens kept; 0 turns the cache off.
    #[serde(default = "default_entries")]
    pub entries: usize,
}

/// Why a configuration was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not JSON of the documented shape.
    #[error("configuration is not valid: {0}")]
    Json(String),
    /// A value breaks a rule.
    #[error("configuration field `{field}`: {message}")]
    Field {
        /// Path of the field, such as `issuers[0].audiences`.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ConfigError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Json(_) => "config_malformed",
            ConfigError::Field { .. } => "config_field",
        }
    }

    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError::Field {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl Config {
    /// Most tokens a cache may be configured for.
    pub const CACHE_ENTRIES: usize = 1_000_000;

    /// Parses and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let config: Self =
            serde_json::from_slice(json).map_err(|error| ConfigError::Json(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.issuers.is_empty() {
            return Err(ConfigError::field("issuers", "needs at least one issuer"));
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            let field = |name: &str| format!("issuers[{index}].{name}");
            if issuer.issuer.is_empty() {
                return Err(ConfigError::field(field("issuer"), "is empty"));
            }
            if self
                .issuers
                .iter()
                .take(index)
                .any(|other| other.issuer == issuer.issuer)
            {
                return Err(ConfigError::field(field("issuer"), "is configured twice"));
            }
            if issuer.audiences.is_empty() || issuer.audiences.iter().any(String::is_empty) {
                return Err(ConfigError::field(
                    field("audiences"),
                    "needs at least one audience",
                ));
            }
            if issuer.jwks.is_some() == issuer.jwks_uri.is_some() {
                return Err(ConfigError::field(
                    field("jwks"),
                    "give exactly one of `jwks` and `jwks_uri`",
                ));
            }
            if !(0..=MAX_LEEWAY).contains(&issuer.clock_skew_s) {
                return Err(ConfigError::field(
                    field("clock_skew_s"),
                    format!("`{}` is outside 0 to {MAX_LEEWAY}", issuer.clock_skew_s),
                ));
            }
            issuer.principal.check().map_err(|(place, message)| {
                ConfigError::field(field(&format!("principal.{place}")), message)
            })?;
        }
        for (index, route) in self.routes.iter().enumerate() {
            route
                .check()
                .map_err(|message| ConfigError::field(format!("routes[{index}]"), message))?;
        }
        for (index, mapping) in self.claim_headers.iter().enumerate() {
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if mapping.header.is_empty() || !mapping.header.bytes().all(token) {
                return Err(ConfigError::field(
                    format!("claim_headers[{index}].header"),
                    format!("`{}` is not a header name", mapping.header),
                ));
            }
        }
        if self.cache.entries > Self::CACHE_ENTRIES {
            return Err(ConfigError::field(
                "cache.entries",
                format!(
                    "`{}` is more than {}",
                    self.cache.entries,
                    Self::CACHE_ENTRIES
                ),
            ));
        }
        Ok(())
    }
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::TokenSmith => Profile::TokenSmith,
            ProfileName::Generic => Profile::Generic,
        }
    }
}

impl Mode {
    /// The value in configuration, deny bodies and records.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Shadow => "shadow",
            Mode::Enforce => "enforce",
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            entries: default_entries(),
        }
    }
}

fn default_leeway() -> i64 {
    DEFAULT_LEEWAY
}

fn default_entries() -> usize {
    10_000
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{RouteConfig, RouteTable};
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
    /// The route table. The first route in order that matches a request counts; one that is never
    /// reached is an error.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// What becomes of requests that no route matches.
    #[serde(default)]
    pub default_route: DefaultRoute,
    /// The actions of methods for [`DefaultRoute::PathRest`], instead of its own. The baseline
    /// policy takes `{"POST": "create", "PUT": "update", "PATCH": "update"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub action_names: BTreeMap<String, String>,
    /// Whether CORS preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) are
    /// handed on without a token, on every path: the service behind, or the proxy, answers them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub options_public: bool,
    /// Whether [`super::DecisionRecord::roles`] is filled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record_roles: bool,
    /// Whether denials tell callers which roles they have.
    #[serde(default = "default_deny_roles")]
    pub deny_roles: bool,
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
    /// Decided with the path as object and as action what the method does: `read` for `GET` and
    /// `HEAD`, `write` for `POST`, `PUT` and `PATCH`, `delete` for `DELETE`, else the method;
    /// [`Config::action_names`] changes that.
    PathRest,
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
    /// By role relation the function that names are patterns of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub role_matching: BTreeMap<String, String>,
    /// By role relation the function that domains are patterns of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domain_matching: BTreeMap<String, String>,
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
        RouteTable::new(&self.routes)?;
        self.check_action_names()?;
        for (index, mapping) in self.claim_headers.iter().enumerate() {
            if !is_http_token(&mapping.header) {
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

    fn check_action_names(&self) -> Result<(), ConfigError> {
        if !self.action_names.is_empty() && self.default_route != DefaultRoute::PathRest {
            let message = "is for `default_route` `path_rest` only";
            return Err(ConfigError::field("action_names", message));
        }
        for (method, action) in &self.action_names {
            let message = if !is_http_token(method) {
                "is not an HTTP method"
            } else if action.trim().is_empty() {
                "has a blank action"
            } else {
                continue;
            };
            return Err(ConfigError::field(
                "action_names",
                format!("`{method}` {message}"),
            ));
        }
        Ok(())
    }
}

/// Whether `text` is a token (RFC 9110 section 5.6.2), as header names and methods are.
pub(super) fn is_http_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_token)
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

fn default_deny_roles() -> bool {
    true
}

fn default_entries() -> usize {
    10_000
}

//! The configuration of request decisions, and what is wrong with one.

mod check;
mod error;
mod headers;
mod issuer;
mod policy;
mod requires;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RouteConfig;
pub use error::ConfigError;
pub(super) use headers::is_http_token;
pub use headers::{ClaimHeader, FilterStateConfig, PayloadHeader};
pub use issuer::{IssuerConfig, ProfileName, TokenLocation};
pub use policy::PolicyConfig;
pub use requires::Requires;

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
    /// Off, shadow or enforce, for routes that say nothing else.
    #[serde(default)]
    pub mode: Mode,
    /// The route table. The first route in order that matches a request counts; one that is never
    /// reached is an error.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// What becomes of requests that no route matches.
    #[serde(default)]
    pub default_route: DefaultRoute,
    /// Which tokens a request needs where its route says nothing else; one of any configured
    /// issuer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
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
    #[serde(default = "yes")]
    pub deny_roles: bool,
    /// The policy; the baseline when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyConfig>,
    /// A policy that is decided by beside the one in force, and only recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_policy: Option<PolicyConfig>,
    /// Claims to hand on as request headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_headers: Vec<ClaimHeader>,
    /// Whether the proxy chooses its route anew after the headers were set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clear_route_cache: bool,
    /// What later filters and access logs of the proxy get to know; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_state: Option<FilterStateConfig>,
    /// Whether the proxy's route may change what the route table says, see
    /// [`super::RouteOverride`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub route_overrides: bool,
    /// The requests that wait for the first keys and the first policy.
    #[serde(default)]
    pub key_wait: KeyWait,
    /// The cache of verified tokens.
    #[serde(default)]
    pub cache: CacheConfig,
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

/// The requests that a proxy holds back while the first keys of an issuer, or the first policy,
/// are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyWait {
    /// Most of them at once, at most [`KeyWait::REQUESTS`]; others are answered with 503.
    pub requests: usize,
    /// The longest each waits, in milliseconds, at most [`KeyWait::TIMEOUT_MS`]; then it is
    /// answered with 503.
    pub timeout_ms: u64,
}

/// The cache of verified tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Most tokens kept; 0 turns the cache off.
    pub entries: usize,
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
}

impl KeyWait {
    /// Most requests that may be configured to wait.
    pub const REQUESTS: usize = 100_000;
    /// The longest wait that may be configured, in milliseconds.
    pub const TIMEOUT_MS: u64 = 60_000;
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

impl Default for KeyWait {
    /// 1,024 requests, for two seconds.
    fn default() -> Self {
        Self {
            requests: 1024,
            timeout_ms: 2000,
        }
    }
}

impl Default for CacheConfig {
    /// 10,000 tokens.
    fn default() -> Self {
        Self { entries: 10_000 }
    }
}

fn yes() -> bool {
    true
}

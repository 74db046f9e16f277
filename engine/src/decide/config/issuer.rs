use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{PayloadHeader, yes};
use crate::claims::{DEFAULT_LEEWAY, Profile, Requirements};
use crate::principal::PrincipalMapping;

/// One accepted issuer, where its keys are and where its tokens come in.
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
    /// Where a request has the issuer's token: the first of these with a value counts. The
    /// `Authorization` header, with the scheme `Bearer` or `DPoP`, when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<TokenLocation>,
    /// Whether the token is handed on; otherwise it is cut out of where it was.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub forward: bool,
    /// The header that hands on the verified payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_header: Option<PayloadHeader>,
}

/// Where a token may be: exactly one of `header`, `query` and `cookie` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLocation {
    /// A header's name. `authorization` without a prefix takes the schemes `Bearer` and `DPoP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What is before the token in the header, such as `Bearer `; a header without it has no
    /// token. Letter case counts, but for `authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The name of a parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A cookie's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
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

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::TokenSmith => Profile::TokenSmith,
            ProfileName::Generic => Profile::Generic,
        }
    }
}

fn default_leeway() -> i64 {
    DEFAULT_LEEWAY
}

fn is_yes(value: &bool) -> bool {
    *value
}

use serde::Serialize;

/// What is in use, for whoever operates the service. Nothing of it is secret, and the routes and
/// rules themselves are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// `off`, `shadow` or `enforce`.
    pub mode: &'static str,
    /// The version of the policy in use; empty while there is none.
    pub policy_version: String,
    /// `baseline`, `config`, `files`, or `bundle`.
    pub policy_source: &'static str,
    /// That of the policy which is only recorded, if one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_policy_version: Option<String>,
    /// How many routes the configuration has.
    pub routes: usize,
    /// The issuers, in the configuration's order.
    pub issuers: Vec<IssuerDiagnostics>,
}

/// An issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuerDiagnostics {
    /// `iss`.
    pub issuer: String,
    /// Whether its tokens can be verified.
    pub has_keys: bool,
    /// How many seconds ago its keys were fetched; none of keys that are configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_age_s: Option<i64>,
}

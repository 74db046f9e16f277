use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Identity, Mode};
use crate::authz::{Decision, RowPlace};

/// What to do with a request. Inbound copies of [`Outcome::strip`] are removed in any case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer to give instead of handing the request on.
    pub denial: Option<Denial>,
    /// Who the caller is, when a token was verified.
    pub identity: Option<Arc<Identity>>,
    /// Request headers to remove before any is set.
    pub strip: Arc<[String]>,
    /// What was decided and why.
    pub record: DecisionRecord,
    /// The key that is not loaded: fetching may help.
    pub wanted: Option<WantedKey>,
}

/// A key that a token named and that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKey {
    /// The token's issuer.
    pub issuer: String,
    /// The key; `None` when no key of the issuer is loaded.
    pub kid: Option<String>,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body, schema `authz.deny.v1`; empty for the method `HEAD`, whose answer has none.
    pub body: Vec<u8>,
}

/// One decision, for logs and metrics. Never holds the token. The order of members is part of the
/// contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionRecord {
    /// `sub` of the principal, empty without one.
    pub principal_id: Arc<str>,
    /// `user` or `service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_type: Option<&'static str>,
    /// The principal's roles, if [`super::Config::record_roles`] says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// How many roles the principal has.
    pub roles_count: usize,
    /// The principal's names in policy rules, as `role:viewer`, that policy allows; empty unless
    /// it decided to allow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched_roles: Vec<Arc<str>>,
    /// The rules that decided, as `site.csv:12`, for each subject with one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched_rules: Vec<MatchedRule>,
    /// The object decided on.
    pub object: Arc<str>,
    /// The action decided on.
    pub action: Arc<str>,
    /// `allow`, `deny`, `indeterminate` or `error`.
    pub decision: &'static str,
    /// Why, empty when allowed.
    pub reason: &'static str,
    /// The stable code of the verification error, if that was why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The mode in force.
    pub mode: &'static str,
    /// The policy's version.
    pub policy_version: Arc<str>,
    /// The request's method.
    pub method: String,
    /// The request's path without its query.
    pub path: String,
    /// The request's id, if it has one that is not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Where a rule that decided is written; `site.csv:12` in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedRule {
    /// The source's name, usually a file.
    pub source: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl From<RowPlace<'_>> for MatchedRule {
    fn from(place: RowPlace<'_>) -> Self {
        Self {
            source: Arc::clone(place.source),
            line: place.line,
        }
    }
}

impl Serialize for MatchedRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.source, self.line))
    }
}

impl Outcome {
    /// Whether the request is handed on.
    pub fn is_allowed(&self) -> bool {
        self.denial.is_none()
    }
}

impl DecisionRecord {
    pub(super) fn new(request: &super::Request<'_>, mode: Mode, policy_version: Arc<str>) -> Self {
        Self {
            principal_id: Arc::default(),
            principal_type: None,
            roles: Vec::new(),
            roles_count: 0,
            matched_roles: Vec::new(),
            matched_rules: Vec::new(),
            object: Arc::default(),
            action: Arc::default(),
            decision: Decision::Allow.name(),
            reason: "",
            error: None,
            mode: mode.name(),
            policy_version,
            method: request.method.to_owned(),
            path: request
                .target
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            request_id: request
                .request_id
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        }
    }
}

impl Denial {
    /// What a shell answers that cannot ask for a decision, or cannot carry it out.
    pub fn unavailable() -> Self {
        Self {
            status: 503,
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body: br#"{"schema_version":"authz.deny.v1","schema":"authz.deny.v1","code":"AUTHZ_ENGINE_ERROR","message":"authorization engine error","decision":"error","reason":"engine_error"}"#.to_vec(),
        }
    }
}

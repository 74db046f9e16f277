use std::borrow::Cow;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Mode, Request};
use crate::authz::{Decision, RowPlace};

/// One decision, for logs and metrics. Never holds the token. The order of members is part of the
/// contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionRecord<'r> {
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
    /// The mode in force for the request.
    pub mode: &'static str,
    /// The policy's version; empty while there is none.
    pub policy_version: Arc<str>,
    /// The request's method.
    pub method: Cow<'r, str>,
    /// The request's path without its query.
    pub path: Cow<'r, str>,
    /// The request's id, if it has one that is not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'r, str>>,
    /// The issuer of the principal's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<str>>,
    /// What the shadow policy said, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Box<ShadowDecision>>,
}

/// What [`super::Config::shadow_policy`] said about a request. The members mean what they mean in
/// [`DecisionRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowDecision {
    /// `allow`, `deny`, `indeterminate` or `error`.
    pub decision: &'static str,
    /// Why, empty when allowed.
    pub reason: &'static str,
    /// The shadow policy's version; empty while there is none.
    pub policy_version: Arc<str>,
    /// The principal's names in policy rules that it allows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched_roles: Vec<Arc<str>>,
    /// The rules that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched_rules: Vec<MatchedRule>,
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

impl<'r> DecisionRecord<'r> {
    pub(super) fn new(request: &Request<'r>, mode: Mode, policy_version: Arc<str>) -> Self {
        let path = request.target.split(['?', '#']).next();
        let request_id = request.request_id.map(str::trim);
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
            method: Cow::Borrowed(request.method),
            path: Cow::Borrowed(path.unwrap_or_default()),
            request_id: request_id.filter(|id| !id.is_empty()).map(Cow::Borrowed),
            issuer: None,
            shadow: None,
        }
    }

    /// Detaches the record from the request.
    pub fn into_owned(self) -> DecisionRecord<'static> {
        let owned = |text: Cow<'r, str>| -> Cow<'static, str> { Cow::Owned(text.into_owned()) };
        DecisionRecord {
            principal_id: self.principal_id,
            principal_type: self.principal_type,
            roles: self.roles,
            roles_count: self.roles_count,
            matched_roles: self.matched_roles,
            matched_rules: self.matched_rules,
            object: self.object,
            action: self.action,
            decision: self.decision,
            reason: self.reason,
            error: self.error,
            mode: self.mode,
            policy_version: self.policy_version,
            method: owned(self.method),
            path: owned(self.path),
            request_id: self.request_id.map(owned),
            issuer: self.issuer,
            shadow: self.shadow,
        }
    }
}

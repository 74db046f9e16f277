use std::sync::Arc;

use serde::Serialize;

use super::{lint_roles, lint_rows};
use crate::authz::compiled::CompiledPolicy;
use crate::policy::Origin;

/// The roles of the baseline rules, which tokens carry.
pub const BASELINE_ROLES: [&str; 4] =
    ["role:admin", "role:operator", "role:service", "role:viewer"];

/// Something in a policy that is likely a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of finding; it stays the same from version to version.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence.
    pub message: String,
    /// The source it is in.
    pub source: String,
    /// The line, from 1.
    pub line: u32,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The policy probably does not say what was meant.
    Warning,
    /// The policy does not do what is written: a denial without effect, or roles that give more
    /// or less than they seem to.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl CompiledPolicy {
    /// What in this policy is likely a mistake, sorted by source and line.
    ///
    /// Subjects that begin with `role:` come from tokens; `known_roles` are those that tokens are
    /// known to have, with the prefix or without, such as [`BASELINE_ROLES`]. The codes:
    ///
    /// * `duplicate_row`: the row is there twice.
    /// * `shadowed_row`: another row covers all that the row says.
    /// * `dead_row`: the row can never decide.
    /// * `contradicting_rows`: the same values are allowed and denied.
    /// * `unknown_role`: no token is known to have the role, and no grouping names it.
    /// * `unused_role`: a grouping gives a role that no row names.
    /// * `role_cycle`: roles go in a circle.
    /// * `hop_limit`: a role is more links away than Casbin follows.
    /// * `wildcard_literal`: a lone `*` that is compared as it is.
    /// * `dot_in_pattern`: a `.` that stands for any character.
    /// * `broad_pattern`: a pattern that matches everything, or every path.
    /// * `unreachable_pattern_text`: text behind the `*` of `keyMatch`, which is not looked at.
    /// * `not_compared`: there are too many patterns to find all shadowed rows.
    ///
    /// ```
    /// use tokensmith_engine::authz::BASELINE_ROLES;
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// assert!(policy.lint(&BASELINE_ROLES).is_empty());
    /// ```
    pub fn lint(&self, known_roles: &[&str]) -> Vec<Finding> {
        let mut report = Report {
            sources: &self.sources,
            findings: Vec::new(),
        };
        let deep = lint_roles::check(self, &mut report);
        lint_roles::check_subjects(self, known_roles, &mut report);
        lint_rows::check(self, &deep, &mut report);
        let mut findings = report.findings;
        findings.sort_by(|own, other| {
            (&own.source, own.line, own.code, &own.message).cmp(&(
                &other.source,
                other.line,
                other.code,
                &other.message,
            ))
        });
        findings
    }
}

/// Takes findings.
pub(super) struct Report<'p> {
    sources: &'p [Arc<str>],
    findings: Vec<Finding>,
}

impl Report<'_> {
    pub(super) fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        origin: Option<Origin>,
        message: String,
    ) {
        let source = origin.and_then(|own| self.sources.get(own.source as usize));
        self.findings.push(Finding {
            code,
            severity,
            message,
            source: source.map(ToString::to_string).unwrap_or_default(),
            line: origin.map_or(0, |own| own.line),
        });
    }
}

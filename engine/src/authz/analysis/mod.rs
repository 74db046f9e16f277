//! What a policy says beyond single requests: who can do something, what a change changes, what
//! is likely a mistake, and a picture of the roles.
//!
//! Answers come from the compiled policy itself, never from a second reading of the rules that
//! could differ from the first. All lists are sorted, so that the same policy gives the same text.

mod compared;
mod covers;
mod deciding;
mod diff;
mod diff_search;
mod error;
mod lint;
mod lint_patterns;
mod lint_roles;
mod lint_rows;
mod lint_table;
mod matching_keys;
mod members;
mod near_miss;
mod permission_table;
mod picture_layout;
mod picture_svg;
mod role_picture;
mod side;
mod who_can;
mod witness;

pub use diff::{Answer, Change, PolicyDiff, Reason, Side};
pub use error::AnalysisError;
pub use lint::{BASELINE_ROLES, Finding, Severity};
pub use near_miss::NearMiss;
pub use permission_table::PermissionTable;
pub use role_picture::{NodeKind, PictureEdge, PictureNode, RolePicture};
pub use who_can::Grant;

/// A policy of the tests below this module.
#[cfg(test)]
fn compiled(model: &str, rules: &str) -> super::CompiledPolicy {
    use crate::policy::{Source, compile};

    let [model, rules] =
        [("model.conf", model), ("policy.csv", rules)].map(|(name, text)| Source { name, text });
    compile(model, &[rules]).unwrap()
}

//! Policy text: Casbin model and rules, the baseline, and the policy version.

mod baseline;
mod error;
mod model;
mod rules;
mod version;

pub use baseline::{BASELINE_MODEL, baseline_rules};
pub use error::{Location, PolicyError};
pub use model::{Effect, MatchTerm, Model};
pub use rules::{Row, Rules};
pub use version::policy_version;

use crate::authz::CompiledPolicy;

/// One policy text and the name it is called by in errors, usually a file's path.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// The name.
    pub name: &'s str,
    /// The text.
    pub text: &'s str,
}

/// Parses and compiles a policy.
///
/// Rules of all `sources` count together; a source may mix policy and grouping rows.
///
/// # Errors
/// [`PolicyError`] with the file, line and column of the first mistake.
///
/// ```
/// use tokensmith_engine::policy::{BASELINE_MODEL, Source, compile};
/// let model = Source { name: "model.conf", text: BASELINE_MODEL };
/// let rules = Source { name: "policy.csv", text: "p, role:viewer, nodes, read" };
/// assert!(compile(model, &[rules]).is_ok());
/// let rules = Source { name: "policy.csv", text: "p, role:viewer, nodes" };
/// assert!(compile(model, &[rules]).unwrap_err().to_string().starts_with("policy.csv:1:1: "));
/// ```
pub fn compile(model: Source<'_>, sources: &[Source<'_>]) -> Result<CompiledPolicy, PolicyError> {
    let model = Model::parse(model)?;
    let rules = Rules::parse(sources, &model)?;
    let version = policy_version(&model, &rules);
    Ok(CompiledPolicy::new(&model, &rules, version))
}

/// The baseline policy, compiled.
///
/// # Errors
/// Never for the texts in this crate; a test compiles them.
pub fn compile_baseline() -> Result<CompiledPolicy, PolicyError> {
    let rules = baseline_rules();
    compile(
        Source {
            name: "<baseline model>",
            text: BASELINE_MODEL,
        },
        &[Source {
            name: "<baseline rules>",
            text: &rules,
        }],
    )
}

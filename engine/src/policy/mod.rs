//! Policy text: Casbin model and rules, the baseline, and the policy version.

mod baseline;
mod bundle;
mod csv;
mod effect;
mod error;
mod model;
mod rules;
mod sections;
mod version;
mod version_v1;

pub use baseline::{BASELINE_MODEL, baseline_rules};
pub use bundle::{
    BUNDLE_TYPE, Bundle, BundleError, BundleFetchError, BundleFollower, BundleJob, BundleLimits,
    BundleState, BundleVerifier, BundleWindow, OpenedBundle,
};
pub use effect::Effect;
pub use error::{Location, PolicyError};
pub use model::Model;
pub(crate) use model::{Definition, Named};
pub use rules::Rules;
pub(crate) use rules::{Link, Origin, Row};
pub use version::policy_version;
pub use version_v1::{
    LegacyBaseline, baseline_policy_version_v1, file_bytes_v1, folder_bytes_v1, policy_version_v1,
};

use crate::authz::{CompileOptions, CompiledPolicy};

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
    compile_with(model, sources, &CompileOptions::default())
}

/// As [`compile`], with what Casbin takes from code.
///
/// # Errors
/// [`PolicyError`]; [`PolicyError::Option`] for a relation or function that does not exist.
pub fn compile_with(
    model: Source<'_>,
    sources: &[Source<'_>],
    options: &CompileOptions,
) -> Result<CompiledPolicy, PolicyError> {
    let model = Model::parse(model)?;
    options
        .check(model.roles.iter().map(|role| role.key.as_str()))
        .map_err(|(field, message)| PolicyError::Option { field, message })?;
    let rules = Rules::parse(sources, &model)?;
    let version = policy_version(&model, &rules, options);
    CompiledPolicy::new(&model, &rules, version, options)
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

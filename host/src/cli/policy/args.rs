use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use tokensmith_engine::authz::{CompileOptions, CompiledPolicy};
use tokensmith_engine::policy::{PolicyError, Source, compile_with};

use crate::cli::CliError;
use crate::policy_files::{self, PolicyLoadError, PolicyPaths};

/// Where a policy's texts are.
#[derive(Debug, Args)]
pub(in crate::cli) struct PolicyArgs {
    /// Casbin model; the baseline model by default
    #[arg(long)]
    model: Option<PathBuf>,
    /// Rules as CSV, policy and grouping rows; may be given several times; the baseline by default
    #[arg(long)]
    policy: Vec<PathBuf>,
    /// More rules as CSV, by custom the grouping rows; may be given several times
    #[arg(long)]
    grouping: Vec<PathBuf>,
}

/// A policy, and what Casbin takes from code.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    #[command(flatten)]
    files: PolicyArgs,
    /// A function that the names of a role relation are patterns of, such as `g=keyMatch2`; may be
    /// given several times
    #[arg(long, value_name = "RELATION=FUNCTION", value_parser = matching)]
    role_matching: Vec<(String, String)>,
    /// A function that the domains of a role relation are patterns of, such as `g=keyMatch`; may
    /// be given several times
    #[arg(long, value_name = "RELATION=FUNCTION", value_parser = matching)]
    domain_matching: Vec<(String, String)>,
}

impl PolicyArgs {
    pub(in crate::cli) fn paths(self) -> PolicyPaths {
        paths(self.model, self.policy, self.grouping)
    }
}

impl LoadArgs {
    pub(super) fn model(&self) -> Option<&Path> {
        self.files.model.as_deref()
    }

    pub(super) fn policy(&self) -> &[PathBuf] {
        &self.files.policy
    }

    pub(super) fn grouping(&self) -> &[PathBuf] {
        &self.files.grouping
    }

    /// Reads and compiles the policy.
    pub(super) fn compile(self) -> Result<CompiledPolicy, CliError> {
        let options = self.options();
        compile(&self.files.paths(), &options)
    }

    pub(super) fn options(&self) -> CompileOptions {
        CompileOptions {
            role_matching: self.role_matching.iter().cloned().collect(),
            domain_matching: self.domain_matching.iter().cloned().collect(),
        }
    }
}

/// Without rules, the baseline's count.
pub(super) fn paths(
    model: Option<PathBuf>,
    policy: Vec<PathBuf>,
    grouping: Vec<PathBuf>,
) -> PolicyPaths {
    PolicyPaths {
        model,
        baseline: policy.is_empty(),
        rules: policy.into_iter().chain(grouping).collect(),
    }
}

/// Reads and compiles a policy.
pub(super) fn compile(
    paths: &PolicyPaths,
    options: &CompileOptions,
) -> Result<CompiledPolicy, CliError> {
    let texts = policy_files::read(paths).map_err(PolicyLoadError::from)?;
    let rules: Vec<Source<'_>> = texts
        .rules
        .iter()
        .map(|(name, text)| Source { name, text })
        .collect();
    let (name, text) = &texts.model;
    compile_with(Source { name, text }, &rules, options).map_err(|error| match error {
        PolicyError::Option { .. } => CliError::Usage(error.to_string()),
        error => PolicyLoadError::from(error).into(),
    })
}

/// A request value: a name, or an object with attributes.
pub(super) fn request_value(text: &str) -> Result<Value, CliError> {
    if !text.starts_with('{') {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text).map_err(|error| {
        CliError::Usage(format!(
            "request value `{text}` begins as a JSON object and is none: {error}"
        ))
    })
}

fn matching(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(relation, function)| !relation.is_empty() && !function.is_empty())
        .map(|(relation, function)| (relation.to_owned(), function.to_owned()))
        .ok_or_else(|| "expected RELATION=FUNCTION, such as `g=keyMatch2`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_functions() {
        let found = matching("g2=keyMatch").unwrap();
        assert_eq!(found, ("g2".to_owned(), "keyMatch".to_owned()));
        for text in ["", "g", "=keyMatch", "g="] {
            assert!(matching(text).is_err(), "{text}");
        }
    }

    #[test]
    fn request_values() {
        assert_eq!(request_value("ann").unwrap(), "ann");
        assert_eq!(request_value("{\"Age\": 3}").unwrap()["Age"], 3);
        let error = request_value("{ann").unwrap_err();
        assert!(matches!(error, CliError::Usage(_)));
    }
}

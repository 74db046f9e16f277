use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokensmith_engine::authz::CompiledPolicy;

use super::policy_bundle::{self, BundleCommand};
use super::{CliError, batch};
use crate::policy_files::{PolicyLoadError, PolicyPaths};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Decide requests
    Eval(EvalArgs),
    /// Load a policy and say whether it is good
    Check(PolicyArgs),
    /// Print the policy version
    Version(PolicyArgs),
    /// Sign a policy as one file, and open such files
    #[command(subcommand)]
    Bundle(BundleCommand),
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    files: PolicyArgs,
    /// Read a JSON array of request values a line and answer {"allowed"} or {"error"} lines
    #[arg(long, required = true)]
    batch: bool,
}

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
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

pub(super) fn run(command: PolicyCommand) -> Result<ExitCode, CliError> {
    match command {
        PolicyCommand::Eval(EvalArgs { files, batch: _ }) => {
            let policy = files.compile()?;
            batch::answer_lines(|line| answer(&policy, line))?;
        }
        PolicyCommand::Check(files) => {
            let policy = files.compile()?;
            println!(
                "ok: {} rules, policy_version {}",
                policy.row_count(),
                policy.policy_version()
            );
        }
        PolicyCommand::Bundle(command) => return policy_bundle::run(command),
        PolicyCommand::Version(files) => println!("{}", files.compile()?.policy_version()),
    }
    Ok(ExitCode::SUCCESS)
}

impl PolicyArgs {
    fn compile(self) -> Result<CompiledPolicy, PolicyLoadError> {
        self.paths().compile()
    }

    pub(super) fn paths(self) -> PolicyPaths {
        PolicyPaths {
            model: self.model,
            baseline: self.policy.is_empty(),
            rules: self.policy.into_iter().chain(self.grouping).collect(),
        }
    }
}

fn answer(policy: &CompiledPolicy, line: &[u8]) -> Value {
    let values: Vec<Value> = match serde_json::from_slice(line) {
        Ok(values) => values,
        Err(error) => return json!({"error": format!("expected a JSON array: {error}")}),
    };
    let Some(values) = values.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else {
        return json!({"error": "request values have to be strings: attribute objects are not supported"});
    };
    match policy.enforce(&values) {
        Ok(allowed) => json!({"allowed": allowed}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

//! What is asked of policies: requests, and what the rules say as a whole.

mod args;
mod diff;
mod eval;
mod explain;
mod graph;
mod lint;
mod rows;
mod table;
mod version;
mod who_can;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::policy_bundle::{self, BundleCommand};
use args::LoadArgs;
use table::{print, print_json};

pub(super) use args::PolicyArgs;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Decide requests: exit code 0 when allowed, 1 when denied or when there is no answer
    Eval(eval::EvalArgs),
    /// Say why a request is allowed or denied, with the same exit codes
    Explain(explain::ExplainArgs),
    /// List who may do an action on an object
    WhoCan(who_can::WhoCanArgs),
    /// Compare two policies: exit code 0 when they answer alike, 1 when not
    Diff(diff::DiffArgs),
    /// Look for likely mistakes: exit code 1 when there is an error
    Lint(lint::LintArgs),
    /// Draw who has which roles, and what roles may do
    Graph(graph::GraphArgs),
    /// Load a policy and say whether it is good
    Check(CheckArgs),
    /// Print the policy version
    Version(version::VersionArgs),
    /// Sign a policy as one file, and open such files
    #[command(subcommand)]
    Bundle(BundleCommand),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: PolicyCommand) -> Result<ExitCode, CliError> {
    match command {
        PolicyCommand::Eval(arguments) => eval::run(arguments),
        PolicyCommand::Explain(arguments) => explain::run(arguments),
        PolicyCommand::WhoCan(arguments) => who_can::run(arguments),
        PolicyCommand::Diff(arguments) => diff::run(arguments),
        PolicyCommand::Lint(arguments) => lint::run(arguments),
        PolicyCommand::Graph(arguments) => graph::run(arguments),
        PolicyCommand::Check(arguments) => check(arguments),
        PolicyCommand::Version(arguments) => version::run(arguments),
        PolicyCommand::Bundle(command) => policy_bundle::run(command),
    }
}

fn check(arguments: CheckArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let (rules, version) = (policy.row_count(), policy.policy_version());
    if arguments.json {
        print_json(&json!({"ok": true, "rules": rules, "policy_version": version}))?;
    } else {
        print(&format!("ok: {rules} rules, policy_version {version}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::policy::{self, BASELINE_MODEL, Source};

use super::{CliError, batch};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Decide requests
    Eval(EvalArgs),
    /// Load a policy and say whether it is good
    Check(PolicyFiles),
    /// Print the policy version
    Version(PolicyFiles),
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    files: PolicyFiles,
    /// Read a JSON array of request values a line and answer {"allowed"} or {"error"} lines
    #[arg(long, required = true)]
    batch: bool,
}

#[derive(Debug, Args)]
pub(super) struct PolicyFiles {
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
        PolicyCommand::Version(files) => println!("{}", files.compile()?.policy_version()),
    }
    Ok(ExitCode::SUCCESS)
}

impl PolicyFiles {
    fn compile(&self) -> Result<CompiledPolicy, CliError> {
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(CliError::io(name.clone()))?;
            Ok::<_, CliError>((name, text))
        };
        let model = match &self.model {
            Some(path) => read(path)?,
            None => ("<baseline model>".to_owned(), BASELINE_MODEL.to_owned()),
        };
        let mut rules = self
            .policy
            .iter()
            .chain(&self.grouping)
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        if self.policy.is_empty() {
            rules.insert(0, ("<baseline rules>".to_owned(), policy::baseline_rules()));
        }
        let sources: Vec<Source<'_>> = rules
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect();
        let model = Source {
            name: &model.0,
            text: &model.1,
        };
        Ok(policy::compile(model, &sources)?)
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

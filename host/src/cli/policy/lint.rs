use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tokensmith_engine::authz::{BASELINE_ROLES, Finding, Severity};

use super::args::LoadArgs;
use super::table::{print, print_json, table};
use crate::cli::CliError;

#[derive(Debug, Args)]
pub(in crate::cli) struct LintArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// A role that tokens have besides `admin`, `operator`, `service` and `viewer`; may be given
    /// several times
    #[arg(long, value_name = "ROLE")]
    known_role: Vec<String>,
    /// Fail for warnings too
    #[arg(long)]
    strict: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: LintArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let known: Vec<&str> = BASELINE_ROLES
        .into_iter()
        .chain(arguments.known_role.iter().map(String::as_str))
        .collect();
    let findings = policy.lint(&known);
    let count = |severity: Severity| {
        let own = findings.iter().filter(|own| own.severity == severity);
        own.count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let notes = count(Severity::Note);
    if arguments.json {
        print_json(&json!({
            "policy_version": policy.policy_version(),
            "findings": findings,
            "errors": errors,
            "warnings": warnings,
            "notes": notes,
        }))?;
    } else if findings.is_empty() {
        print("no findings\n")?;
    } else {
        let cells: Vec<Vec<String>> = findings.iter().map(cells).collect();
        let text = table(&["AT", "SEVERITY", "CODE", "MESSAGE"], &cells);
        print(&format!(
            "{text}\nerrors: {errors}, warnings: {warnings}, notes: {notes}\n"
        ))?;
    }
    Ok(match errors > 0 || (arguments.strict && warnings > 0) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn cells(finding: &Finding) -> Vec<String> {
    vec![
        format!("{}:{}", finding.source, finding.line),
        finding.severity.name().to_owned(),
        finding.code.to_owned(),
        finding.message.clone(),
    ]
}

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::args::LoadArgs;
use super::rows::{path_text, row_json, row_place, row_text};
use super::table::{print, print_json, table};
use crate::cli::CliError;

#[derive(Debug, Args)]
pub(in crate::cli) struct WhoCanArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// The object
    object: String,
    /// The action
    action: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: WhoCanArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let grants = policy.who_can(&arguments.object, &arguments.action)?;
    if arguments.json {
        let grants: Vec<Value> = grants
            .iter()
            .map(|grant| {
                json!({
                    "subject": grant.subject,
                    "path": grant.path,
                    "row": grant.row.as_ref().map(row_json),
                })
            })
            .collect();
        print_json(&json!({
            "policy_version": policy.policy_version(),
            "object": arguments.object,
            "action": arguments.action,
            "grants": grants,
        }))?;
    } else if grants.is_empty() {
        print("nobody\n")?;
    } else {
        let cells: Vec<Vec<String>> = grants
            .iter()
            .map(|grant| {
                vec![
                    grant.subject.clone(),
                    path_text(&grant.path),
                    grant.row.as_ref().map(row_text).unwrap_or_default(),
                    grant.row.as_ref().map(row_place).unwrap_or_default(),
                ]
            })
            .collect();
        print(&table(&["SUBJECT", "THROUGH", "ROW", "AT"], &cells))?;
    }
    Ok(ExitCode::SUCCESS)
}

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokensmith_engine::authz::{Change, CompiledPolicy, PolicyDiff};

use super::args::{LoadArgs, compile, paths};
use super::rows::{row_json, row_place, row_text};
use super::table::{print, print_json, table};
use crate::cli::CliError;

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// Model of the old policy; the baseline model by default
    #[arg(long)]
    from_model: Option<PathBuf>,
    /// Rules of the old policy; may be given several times; the baseline by default
    #[arg(long)]
    from_policy: Vec<PathBuf>,
    /// More rules of the old policy; may be given several times
    #[arg(long)]
    from_grouping: Vec<PathBuf>,
    #[command(flatten)]
    files: LoadArgs,
    /// How many requests both policies are asked at most
    #[arg(long, default_value_t = 500_000)]
    limit: usize,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: DiffArgs) -> Result<ExitCode, CliError> {
    let options = arguments.files.options();
    let from = paths(
        arguments.from_model,
        arguments.from_policy,
        arguments.from_grouping,
    );
    let old = compile(&from, &options)?;
    let new = arguments.files.compile()?;
    let diff = CompiledPolicy::diff(&old, &new, arguments.limit)?;
    if arguments.json {
        print_json(&in_json(&diff))?;
    } else {
        print(&in_words(&diff))?;
    }
    Ok(match diff.changes.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn in_json(diff: &PolicyDiff) -> Value {
    let changes: Vec<Value> = diff
        .changes
        .iter()
        .map(|change| {
            let because: Vec<Value> = change
                .because
                .iter()
                .map(|reason| json!({"policy": reason.policy, "row": row_json(&reason.row)}))
                .collect();
            json!({
                "context": change.context,
                "request": change.request,
                "before": change.before,
                "after": change.after,
                "because": because,
            })
        })
        .collect();
    json!({
        "version_old": diff.version_old,
        "version_new": diff.version_new,
        "changes": changes,
        "examined": diff.examined,
        "complete": diff.complete,
    })
}

fn in_words(diff: &PolicyDiff) -> String {
    let mut text = format!("old: {}\nnew: {}\n", diff.version_old, diff.version_new);
    if !diff.changes.is_empty() {
        let cells: Vec<Vec<String>> = diff.changes.iter().map(change_cells).collect();
        text.push('\n');
        text.push_str(&table(&["REQUEST", "BEFORE", "AFTER", "BECAUSE"], &cells));
        text.push('\n');
    }
    text.push_str(&format!(
        "{} of {} requests are answered differently\n",
        diff.changes.len(),
        diff.examined
    ));
    if !diff.complete {
        text.push_str(
            "there may be others: the policies are not all names and roles, or too large\n",
        );
    }
    text
}

fn change_cells(change: &Change) -> Vec<String> {
    let because: Vec<String> = change
        .because
        .iter()
        .map(|reason| {
            let (side, row) = (reason.policy.name(), &reason.row);
            format!("{side} {} ({})", row_text(row), row_place(row))
        })
        .collect();
    let request = change.request.join(" ");
    vec![
        match change.context.as_str() {
            "" => request,
            context => format!("m{context}: {request}"),
        },
        change.before.name().to_owned(),
        change.after.name().to_owned(),
        because.join("; "),
    ]
}

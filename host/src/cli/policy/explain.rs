use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokensmith_engine::authz::{Explanation, NearMiss, RequestValue};

use super::args::{LoadArgs, request_value};
use super::eval::rows_table;
use super::rows::{path_text, row_json, row_place, row_text};
use super::table::{print, print_json, printable, table};
use crate::cli::CliError;

/// How many near misses are shown.
const NEAR: usize = 10;

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// The request's values, such as `alice doc read`; one that begins with `{` is a JSON object
    #[arg(value_name = "VALUE", required = true)]
    values: Vec<String>,
    /// Ask the matcher `mN` with its request, policy and effect, instead of `m`
    #[arg(long, value_name = "N")]
    context: Option<String>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: ExplainArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let context = arguments.context.unwrap_or_default();
    let values = arguments
        .values
        .iter()
        .map(|text| request_value(text))
        .collect::<Result<Vec<_>, _>>()?;
    let request: Vec<RequestValue<'_>> = values.iter().map(RequestValue::from).collect();
    let explanation = policy.explain(&context, &request)?;
    let decided = explanation.rows.iter().any(|row| row.decisive);
    let near = if explanation.allowed || decided {
        Vec::new()
    } else {
        policy.near_misses(&context, &request)?
    };
    if arguments.json {
        print_json(&in_json(policy.policy_version(), &explanation, &near))?;
    } else {
        print(&in_words(&arguments.values, &explanation, &near))?;
    }
    Ok(match explanation.allowed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn in_json(version: &str, explanation: &Explanation, near: &[NearMiss]) -> Value {
    let rows: Vec<Value> = explanation.rows.iter().map(row_json).collect();
    let near: Vec<Value> = near
        .iter()
        .take(NEAR)
        .map(|own| {
            json!({
                "row": row_json(&own.row),
                "field": own.field,
                "value": own.value,
                "request": own.request,
            })
        })
        .collect();
    json!({
        "policy_version": version,
        "allowed": explanation.allowed,
        "effect": explanation.effect,
        "rows": rows,
        "near_misses": near,
    })
}

fn in_words(values: &[String], explanation: &Explanation, near: &[NearMiss]) -> String {
    let word = if explanation.allowed {
        "allowed"
    } else {
        "denied"
    };
    let mut text = format!("{word}: {}\n", printable(&values.join(" ")));
    match explanation.rows.iter().find(|row| row.decisive) {
        Some(row) => {
            let (row_text, place) = (printable(&row_text(row)), printable(&row_place(row)));
            text.push_str(&format!("decided by: {row_text} ({place})\n"));
            for path in &row.roles {
                text.push_str(&format!("through: {}\n", printable(&path_text(path))));
            }
        }
        None if explanation.rows.is_empty() => {
            text.push_str(&format!(
                "decided by: the effect `{}`, as no row matches\n",
                explanation.effect
            ));
        }
        None => {
            text.push_str(&format!(
                "decided by: the effect `{}`, as no row that matches decides\n",
                explanation.effect
            ));
        }
    }
    if !explanation.rows.is_empty() {
        text.push_str("\nrows that match:\n");
        text.push_str(&rows_table(&explanation.rows));
    }
    if !near.is_empty() {
        text.push_str("\nrows that match but for one value:\n");
        text.push_str(&near_table(near));
    }
    text
}

fn near_table(near: &[NearMiss]) -> String {
    let cells: Vec<Vec<String>> = near
        .iter()
        .take(NEAR)
        .map(|own| {
            let but = match &own.request {
                Some(request) => format!("{} is `{}`, not `{request}`", own.field, own.value),
                None => format!("{} is `{}`", own.field, own.value),
            };
            vec![row_text(&own.row), row_place(&own.row), but]
        })
        .collect();
    let mut text = table(&["ROW", "AT", "BUT"], &cells);
    if near.len() > NEAR {
        text.push_str(&format!("and {} more\n", near.len() - NEAR));
    }
    text
}

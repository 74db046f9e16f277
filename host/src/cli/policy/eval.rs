use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokensmith_engine::authz::{AuthzError, CompiledPolicy, ExplainedRow, RequestValue};

use super::args::{LoadArgs, request_value};
use super::rows::{effect, path_text, row_json, row_place, row_text};
use super::table::{print, print_json, table};
use crate::cli::{CliError, batch};

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// The request's values, such as `alice doc read`; one that begins with `{` is a JSON object
    #[arg(
        value_name = "VALUE",
        required_unless_present = "batch",
        conflicts_with = "batch"
    )]
    values: Vec<String>,
    /// Read a JSON array of request values a line and answer {"allowed"} or {"error", "code"} lines
    #[arg(long)]
    batch: bool,
    /// Add the rows that match, and which of them decides
    #[arg(long)]
    explain: bool,
    /// Ask the matcher `mN` with its request, policy and effect, instead of `m`
    #[arg(long, value_name = "N")]
    context: Option<String>,
    /// Answer as JSON
    #[arg(long, conflicts_with = "batch")]
    json: bool,
}

/// An answer, with its reasons when they were asked for.
struct Answer {
    allowed: bool,
    effect: &'static str,
    rows: Option<Vec<ExplainedRow>>,
}

pub(super) fn run(arguments: EvalArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let context = arguments.context.unwrap_or_default();
    let explain = arguments.explain;
    if arguments.batch {
        batch::answer_lines(|line| answer_line(&policy, &context, explain, line))?;
        return Ok(ExitCode::SUCCESS);
    }
    let values = arguments
        .values
        .iter()
        .map(|text| request_value(text))
        .collect::<Result<Vec<_>, _>>()?;
    let answer = answer(&policy, &context, explain, &values);
    let code = match &answer {
        Ok(answer) if answer.allowed => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    if arguments.json {
        print_json(&answer_json(answer))?;
    } else {
        print(&answer_text(&answer?))?;
    }
    Ok(code)
}

/// The rows as a table.
pub(super) fn rows_table(rows: &[ExplainedRow]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let decides = if row.decisive { "yes" } else { "" };
            let paths: Vec<String> = row.roles.iter().map(|path| path_text(path)).collect();
            vec![
                row_text(row),
                effect(row).to_owned(),
                decides.to_owned(),
                row_place(row),
                paths.join("; "),
            ]
        })
        .collect();
    table(&["ROW", "EFFECT", "DECIDES", "AT", "THROUGH"], &cells)
}

fn answer_line(policy: &CompiledPolicy, context: &str, explain: bool, line: &[u8]) -> Value {
    match serde_json::from_slice::<Vec<Value>>(line) {
        Ok(values) => answer_json(answer(policy, context, explain, &values)),
        Err(error) => {
            json!({"error": format!("expected a JSON array: {error}"), "code": "bad_request"})
        }
    }
}

fn answer(
    policy: &CompiledPolicy,
    context: &str,
    explain: bool,
    values: &[Value],
) -> Result<Answer, AuthzError> {
    let request: Vec<RequestValue<'_>> = values.iter().map(RequestValue::from).collect();
    if explain {
        let explained = policy.explain(context, &request)?;
        return Ok(Answer {
            allowed: explained.allowed,
            effect: explained.effect,
            rows: Some(explained.rows),
        });
    }
    Ok(Answer {
        allowed: policy.evaluate_in(context, &request)?,
        effect: "",
        rows: None,
    })
}

fn answer_json(answer: Result<Answer, AuthzError>) -> Value {
    match answer {
        Ok(Answer {
            allowed,
            effect,
            rows: Some(rows),
        }) => {
            let rows: Vec<Value> = rows.iter().map(row_json).collect();
            json!({"allowed": allowed, "effect": effect, "rows": rows})
        }
        Ok(Answer { allowed, .. }) => json!({"allowed": allowed}),
        Err(error) => json!({"error": error.to_string(), "code": error.code()}),
    }
}

fn answer_text(answer: &Answer) -> String {
    let word = if answer.allowed { "allowed" } else { "denied" };
    match &answer.rows {
        None => format!("{word}\n"),
        Some(rows) if rows.is_empty() => {
            format!("{word}: no row matches (effect `{}`)\n", answer.effect)
        }
        Some(rows) => format!(
            "{word} (effect `{}`)\n\n{}",
            answer.effect,
            rows_table(rows)
        ),
    }
}

use serde_json::{Value, json};
use tokensmith_engine::authz::ExplainedRow;

/// The row as it is written.
pub(super) fn row_text(row: &ExplainedRow) -> String {
    let mut text = row.kind.clone();
    for value in &row.values {
        text.push_str(", ");
        text.push_str(value);
    }
    text
}

/// The file and line of a row.
pub(super) fn row_place(row: &ExplainedRow) -> String {
    format!("{}:{}", row.source, row.line)
}

/// Names with arrows between them.
pub(super) fn path_text(path: &[String]) -> String {
    path.join(" -> ")
}

pub(super) fn effect(row: &ExplainedRow) -> &'static str {
    if row.deny { "deny" } else { "allow" }
}

pub(super) fn row_json(row: &ExplainedRow) -> Value {
    json!({
        "kind": row.kind,
        "values": row.values,
        "effect": effect(row),
        "source": row.source,
        "line": row.line,
        "decisive": row.decisive,
        "roles": row.roles,
    })
}

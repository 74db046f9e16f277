use std::io::Write as _;

use serde_json::Value;

use crate::cli::CliError;

/// Rows in columns that are as wide as their widest cell, under the columns' names.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&heads)
        .chain(rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let mut widths = vec![0; heads.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let width = *width;
                format!("{cell:width$}")
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Text from a policy or request that does nothing to a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|own| if own.is_control() { '\u{fffd}' } else { own })
        .collect()
}

/// Prints a whole answer. A pipe that closes early is an error, not a panic.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    written
        .and_then(|()| output.flush())
        .map_err(CliError::io("standard output"))
}

/// Prints an answer as JSON.
pub(super) fn print_json(value: &Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["a", "\u{e9}\u{e9}\u{e9}\u{e9}", ""]),
            row(["long one", "\u{1b}[2J", "x"]),
        ];
        assert_eq!(
            table(&["ONE", "TWO", "THREE"], &rows),
            "ONE       TWO   THREE\n\
             a         \u{e9}\u{e9}\u{e9}\u{e9}\n\
             long one  \u{fffd}[2J  x\n"
        );
    }
}

use std::io::{BufRead as _, Write as _};

use serde_json::Value;

use super::CliError;

/// Longest accepted input line.
const LINE_BYTES: usize = 4 * 1024 * 1024;

/// Answers every line of standard input with one line of JSON; blank lines are passed over.
/// A line that cannot be read gets an answer too, so that answers and lines stay in step.
pub(super) fn answer_lines(mut answer: impl FnMut(&[u8]) -> Value) -> Result<(), CliError> {
    let stdin = std::io::stdin();
    let mut input = stdin.lock();
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(CliError::io("standard input"))?;
        if read == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let value = if text.len() > LINE_BYTES {
            serde_json::json!({"error": format!("line is longer than {LINE_BYTES} bytes")})
        } else {
            answer(text)
        };
        writeln!(output, "{value}").map_err(CliError::io("standard output"))?;
        // A caller that waits for one answer before it asks again must get it.
        output.flush().map_err(CliError::io("standard output"))?;
    }
    Ok(())
}

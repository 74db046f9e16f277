use std::io::{BufRead, Read as _};

use super::ChainFault;
use super::line::{Head, Line, MAX_LINE};

/// A chain that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// How many lines it has.
    pub lines: u64,
    /// Digest of its last line; 64 zeros when there is none. Kept elsewhere it shows later
    /// whether lines at the end were altered or taken out, which the chain alone cannot.
    pub head: String,
}

/// Walks the lines of an audit log. With `head`, a digest kept from before, one of the lines has
/// to have it.
///
/// ```
/// use tokensmith::audit::verify;
/// assert_eq!(verify(&b""[..], None).unwrap().lines, 0);
/// assert_eq!(verify(&b"{}\n"[..], None).unwrap_err().code(), "audit_line_malformed");
/// ```
///
/// # Errors
/// The first [`ChainFault`].
pub fn verify(mut reader: impl BufRead, head: Option<&str>) -> Result<Chain, ChainFault> {
    let mut end = Head::start();
    let mut head_found = head.is_none_or(|head| head == end.digest);
    let mut at: u64 = 0;
    let mut bytes = Vec::new();
    loop {
        let line = end.seq.saturating_add(1);
        bytes.clear();
        let read = reader
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| ChainFault::Read { line, error })?;
        if read == 0 {
            break;
        }
        let Some(text) = bytes.strip_suffix(b"\n") else {
            // What is too long is no line; what is short is the end of the file.
            return Err(if bytes.len() as u64 >= MAX_LINE {
                ChainFault::Malformed {
                    line,
                    reason: format!("longer than {MAX_LINE} bytes"),
                }
            } else {
                ChainFault::Cut { line, at }
            });
        };
        end = step(&end, line, text)?;
        head_found = head_found || head == Some(end.digest.as_str());
        at = at.saturating_add(bytes.len() as u64);
    }
    match head {
        Some(head) if !head_found => Err(ChainFault::Head {
            line: end.seq,
            head: head.to_owned(),
        }),
        _ => Ok(Chain {
            lines: end.seq,
            head: end.digest,
        }),
    }
}

/// Where the chain ends with one more line.
fn step(end: &Head, line: u64, text: &[u8]) -> Result<Head, ChainFault> {
    let parsed: Line = serde_json::from_slice(text).map_err(|error| ChainFault::Malformed {
        line,
        reason: error.to_string(),
    })?;
    if parsed.seq != line {
        return Err(ChainFault::Sequence {
            line,
            found: parsed.seq,
            expected: line,
        });
    }
    if parsed.prev != end.digest {
        return Err(ChainFault::Previous { line });
    }
    Ok(Head::behind(parsed.seq, text))
}

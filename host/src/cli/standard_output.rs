use std::io::Write as _;

use super::CliError;

/// Prints a text. A reader that has seen enough is an error like any other, and no panic.
///
/// # Errors
/// [`CliError::Io`].
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(CliError::io("standard output"))
}

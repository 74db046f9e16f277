use std::io::Write as _;
use std::path::Path;

use super::CliError;

/// Writes a file that appears whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let name = path.display().to_string();
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let written = std::fs::File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    });
    written.map_err(|error| {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        drop(std::fs::remove_file(&draft));
        CliError::io(name)(error)
    })
}

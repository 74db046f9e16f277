use std::path::Path;

use super::CliError;
use crate::whole_file::{Readers, write as write_whole};

/// Writes a file that a command was told to.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let name = path.display().to_string();
    write_whole(path, bytes, Readers::ByMask).map_err(CliError::io(name))
}

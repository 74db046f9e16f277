use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{RecordFault, StoreImportError};

/// The most files of a store.
const FILES: usize = 100_000;
/// The most bytes of a file.
const FILE_BYTES: u64 = 256 * 1024;

/// The `*.json` files of a folder in order of their names, without those of folders in it, or the
/// one file that `path` is.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>, StoreImportError> {
    let unreadable = |error: io::Error| StoreImportError::Read {
        path: path.display().to_string(),
        error,
    };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
            && !file.is_dir()
        {
            files.push(file);
        }
        if files.len() > FILES {
            return Err(StoreImportError::TooMany {
                path: path.display().to_string(),
            });
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, RecordFault> {
    // Reading from a pipe would never end.
    if !fs::metadata(file).map_err(RecordFault::Read)?.is_file() {
        return Err(RecordFault::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(RecordFault::Read)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(RecordFault::TooLarge);
    }
    Ok(bytes)
}

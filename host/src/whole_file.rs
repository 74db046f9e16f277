//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::private_file::give_to_folder_owner;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// The owner of its folder: mode 0600.
    Owner,
    /// Whoever the user's mask lets.
    ByMask,
}

/// Writes a file in the place of any other of this name. After it returns the file survives a
/// power cut.
///
/// # Errors
/// What the system says; then the file is as before.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(format!(".draft-{}", std::process::id()));
    let draft = path.with_file_name(name);
    let written = write_draft(&draft, bytes, readers).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        drop(fs::remove_file(&draft));
    }
    written?;
    sync_folder_of(path)
}

/// Makes what happened to the names in the folder of `path` survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The folder a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn write_draft(draft: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    // One that a process of the same number left behind; a link in its place is not followed.
    drop(fs::remove_file(draft));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = match readers {
        Readers::Owner => {
            let file = options.mode(0o600).open(draft)?;
            give_to_folder_owner(&file, draft)?;
            file
        }
        Readers::ByMask => options.open(draft)?,
    };
    file.write_all(bytes)?;
    file.sync_all()
}

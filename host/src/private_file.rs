//! Files that their owner alone may read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::Path;

use zeroize::Zeroizing;

use crate::whole_file::{self, Readers, folder_of};

/// The most bytes of a file of keys or certificates.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why a private file is not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// What the system said.
    Io(io::Error),
    /// Others than its owner may read it: its permission bits.
    Mode(u32),
}

/// What is in a file that its owner alone may read, at most 1 MiB; erased when it is dropped.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let (bytes, mode) = read_regular(path).map_err(ReadError::Io)?;
    if mode & 0o077 != 0 {
        return Err(ReadError::Mode(mode));
    }
    Ok(bytes)
}

/// What is in a file, at most 1 MiB, and its permission bits.
pub(crate) fn read_regular(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    // Opening a pipe would wait for whoever writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > MOST_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Room for all at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.mode() & 0o777))
}

/// Makes a folder of mode 0700, and the ones above it, where they are missing.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Writes a file of mode 0600 in the place of any other of this name. After it returns the file
/// survives a power cut.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    whole_file::write(path, bytes, Readers::Owner)
}

/// Makes a new file the folder's owner's: what root makes in the service's folder would otherwise
/// keep the service out.
pub(crate) fn give_to_folder_owner(file: &File, path: &Path) -> io::Result<()> {
    let folder = fs::metadata(folder_of(path))?;
    let own = file.metadata()?;
    if own.uid() == folder.uid() {
        return Ok(());
    }
    fchown(file, Some(folder.uid()), Some(folder.gid())).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("the folder is another user's, run this as its owner: {error}"),
        )
    })
}

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::PluginError;

/// A plugin of more bytes than this is a mistake.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The content of a plugin's file.
#[derive(Debug)]
pub(super) struct PluginFile {
    #[cfg(feature = "plugins")]
    bytes: Vec<u8>,
    digest: String,
}

impl PluginFile {
    /// Reads it.
    ///
    /// # Errors
    /// [`PluginError::File`], for one of more than 64 MiB too.
    pub(super) fn read(path: &Path) -> Result<Self, PluginError> {
        let bytes = content(path).map_err(|error| PluginError::File {
            path: path.display().to_string(),
            error,
        })?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            #[cfg(feature = "plugins")]
            bytes,
            digest,
        })
    }

    /// The component.
    #[cfg(feature = "plugins")]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its SHA-256 digest in hexadecimal.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(bytes)
    } else {
        let message = format!("it is larger than {MAX_BYTES} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

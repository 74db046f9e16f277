use std::path::Path;

use thiserror::Error;

use crate::signing_key::SigningKeyError;

/// Why a folder of signing keys cannot be used or changed.
#[derive(Debug, Error)]
pub enum KeySetError {
    /// A file or folder cannot be read or written.
    #[error("cannot read or write `{path}`: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A key cannot be read or made.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The manifest is not what is expected.
    #[error("key manifest `{path}`: {message}")]
    Manifest {
        /// The manifest.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file holds another key than the manifest says.
    #[error("`{path}` holds key `{found}`, the manifest says `{expected}`")]
    OtherKey {
        /// The key's file.
        path: String,
        /// Thumbprint of the key in it.
        found: String,
        /// Thumbprint in the manifest.
        expected: String,
    },
    /// No key signs now.
    #[error("no key in `{path}` signs now: run `tokensmith keys rotate --now`")]
    NoSigner {
        /// The folder.
        path: String,
    },
    /// Another process changes the folder.
    #[error("another process changes the keys in `{path}`: try again")]
    Locked {
        /// The folder.
        path: String,
    },
    /// No key of the set has this thumbprint.
    #[error("there is no key `{kid}` in the folder")]
    Unknown {
        /// As given.
        kid: String,
    },
    /// Nothing would sign without this key.
    #[error("key `{kid}` signs, and nothing else would: run `tokensmith keys rotate --now` first")]
    StillSigning {
        /// As given.
        kid: String,
    },
    /// As many keys as verifiers accept are published.
    #[error(
        "there are as many keys as a JWK set may have: run `tokensmith keys prune`, or rotate less often"
    )]
    Full,
    /// The key is in the folder already.
    #[error("key `{kid}` is in the folder already")]
    Known {
        /// Its thumbprint.
        kid: String,
    },
}

impl KeySetError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            KeySetError::Io { .. } => "key_set_file",
            KeySetError::Key(error) => error.code(),
            KeySetError::Manifest { .. } => "key_set_manifest",
            KeySetError::OtherKey { .. } => "key_set_other_key",
            KeySetError::NoSigner { .. } => "key_set_no_signer",
            KeySetError::Locked { .. } => "key_set_locked",
            KeySetError::Unknown { .. } => "key_set_unknown_key",
            KeySetError::StillSigning { .. } => "key_set_still_signing",
            KeySetError::Known { .. } => "key_set_known_key",
            KeySetError::Full => "key_set_full",
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| KeySetError::Io {
            path: path.clone(),
            error,
        }
    }
}

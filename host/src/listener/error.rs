use std::io;

use thiserror::Error;

/// Why an address is not listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Not an address.
    #[error(
        "`{value}` is no address to listen on: give `ADDRESS:PORT`, `[ADDRESS]:PORT` or `unix:PATH`"
    )]
    Address {
        /// As given.
        value: String,
    },
    /// Not a network.
    #[error("`{value}` is no IP network: give one such as `10.0.0.0/8`, or an address")]
    Network {
        /// As given.
        value: String,
    },
    /// The system does not let it be listened on.
    #[error("cannot listen on `{address}`: {error}")]
    Failed {
        /// The address.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// Another process listens on the Unix socket.
    #[error("another process listens on `{path}`: end it, or choose another path")]
    InUse {
        /// The socket.
        path: String,
    },
    /// Something else has the path of the Unix socket.
    #[error("`{path}` is not a socket and is left alone: remove it, or choose another path")]
    NotASocket {
        /// The file or folder.
        path: String,
    },
    /// Others could put a socket of their own in the place of this one.
    #[error(
        "the folder of `{path}` is another user's, or others may write to it (mode {mode:04o}): use a folder of the service's own"
    )]
    UnsafeFolder {
        /// The socket.
        path: String,
        /// The folder's permission bits.
        mode: u32,
    },
}

/// Why TLS cannot be offered.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// No usable certificate.
    #[error("`{path}` is not a chain of certificates in PEM, the server's first: {reason}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No usable private key.
    #[error("`{path}` is not a private key in PEM without a passphrase: {reason}")]
    Key {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Others than its owner may read the private key.
    #[error("private key `{path}` is readable by others (mode {mode:04o}): run `chmod 600 {path}`")]
    KeyMode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The private key is another certificate's.
    #[error("private key `{key}` does not belong to the first certificate of `{cert}`")]
    Mismatch {
        /// The file of the certificate.
        cert: String,
        /// The file of the key.
        key: String,
    },
    /// No usable certificate authority.
    #[error("`{path}` holds no certificate authorities in PEM to verify clients with: {reason}")]
    Ca {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ListenError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ListenError::Address { .. } => "listen_address",
            ListenError::Network { .. } => "listen_network",
            ListenError::Failed { .. } => "listen_failed",
            ListenError::InUse { .. } => "listen_in_use",
            ListenError::NotASocket { .. } => "listen_not_a_socket",
            ListenError::UnsafeFolder { .. } => "listen_unsafe_folder",
        }
    }
}

impl TlsError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            TlsError::File { .. } => "tls_file",
            TlsError::Certificate { .. } => "tls_certificate",
            TlsError::Key { .. } | TlsError::KeyMode { .. } => "tls_key",
            TlsError::Mismatch { .. } => "tls_mismatch",
            TlsError::Ca { .. } => "tls_ca",
        }
    }
}

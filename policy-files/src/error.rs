use thiserror::Error;
use tokensmith_engine::policy::PolicyError;

/// A policy's files cannot be read.
#[derive(Debug, Error)]
pub enum PolicyFileError {
    /// A file or folder cannot be read.
    #[error("cannot read policy `{path}`: {error}: check that it is there and may be read")]
    Read {
        /// The file or folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A pipe, a device, a socket, or a folder in the place of a model.
    #[error("policy `{path}` is not a file: name a file, or for rules a folder of `*.csv` files")]
    NotAFile {
        /// What was named.
        path: String,
    },
    /// A symbolic link leads out of its folder, or to nothing.
    #[error(
        "policy `{link}` is a symbolic link to `{target}`, which is not in `{folder}`: put the file itself there"
    )]
    Link {
        /// The link.
        link: String,
        /// Where it leads.
        target: String,
        /// The folder that it may lead to.
        folder: String,
    },
    /// The text is not UTF-8.
    #[error("policy `{path}` is not UTF-8 at byte {offset}: save it as UTF-8")]
    Encoding {
        /// The file.
        path: String,
        /// How many bytes before the first wrong one.
        offset: usize,
    },
    /// A file is too large.
    #[error("policy `{path}` is larger than 64 MiB: split it")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// There are too many files of rules.
    #[error("policy `{path}` brings the files of rules to more than 1,000: join some")]
    TooMany {
        /// The file or folder with one too many.
        path: String,
    },
    /// The files were exchanged each time they were read.
    #[error(
        "the policy's files are exchanged while they are read: let the change end and try again"
    )]
    Changing,
}

/// A policy does not load.
#[derive(Debug, Error)]
pub enum PolicyLoadError {
    /// Its files cannot be read.
    #[error(transparent)]
    File(#[from] PolicyFileError),
    /// Its texts are not a policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl PolicyFileError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            PolicyFileError::Read { .. } => "policy_file_read",
            PolicyFileError::NotAFile { .. } => "policy_file_kind",
            PolicyFileError::Link { .. } => "policy_file_link",
            PolicyFileError::Encoding { .. } => "policy_file_encoding",
            PolicyFileError::TooLarge { .. } => "policy_file_size",
            PolicyFileError::TooMany { .. } => "policy_file_count",
            PolicyFileError::Changing => "policy_file_changing",
        }
    }
}

impl PolicyLoadError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            PolicyLoadError::File(error) => error.code(),
            PolicyLoadError::Policy(error) => error.code(),
        }
    }
}

use thiserror::Error;

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read configuration file `{path}`: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what is expected.
    #[error("{path}:{line}:{column}: {message}")]
    Parse {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1, in characters for TOML, in bytes for JSON.
        column: usize,
        /// What is wrong there, never with a value that may be a secret.
        message: String,
    },
    /// A value breaks a rule.
    #[error("{path}: `{field}`: {message}")]
    Value {
        /// The file.
        path: String,
        /// Where, such as `oidc.groups[0]`.
        field: String,
        /// The rule.
        message: String,
    },
}

impl ConfigFileError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigFileError::Read { .. } => "config_file_read",
            ConfigFileError::Parse { .. } => "config_file_malformed",
            ConfigFileError::Value { .. } => "config_file_value",
        }
    }
}

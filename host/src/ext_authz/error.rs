use thiserror::Error;
use tokensmith_engine::decide::ConfigError;

use crate::listener::ListenError;
use crate::oidc::OidcError;

/// Why external authorization does not start, or a changed configuration is not taken over.
#[derive(Debug, Error)]
pub enum ExtAuthzError {
    /// The configuration cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration is not good.
    #[error("`{path}`: {error}")]
    Config {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no HTTP client for the keys.
    #[error(transparent)]
    Client(OidcError),
}

impl ExtAuthzError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ExtAuthzError::Read { .. } => "ext_authz_config_read",
            ExtAuthzError::Config { error, .. } => error.code(),
            ExtAuthzError::Listen(error) => error.code(),
            ExtAuthzError::Client(error) => error.code(),
        }
    }
}

use std::time::Duration;

use thiserror::Error;

/// Why there is no token. Never holds a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClientError {
    /// A setting is missing or wrong.
    #[error("`{setting}`: {message}")]
    Setting {
        /// The setting or variable of the environment.
        setting: &'static str,
        /// What is wrong, and what to give.
        message: String,
    },
    /// A file of a certificate, key or authority cannot be used.
    #[error("cannot use `{path}`: {message}")]
    CredentialFile {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// There is no HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Http(String),
    /// The refresh token's file cannot be used.
    #[error("refresh token file `{path}`: {message}")]
    RefreshFile {
        /// The file.
        path: String,
        /// Why, and what to do.
        message: String,
    },
    /// Another process keeps its refresh token in the same file.
    #[error("refresh token file `{0}` is in use by another process: give each process its own")]
    RefreshFileInUse(String),
    /// The token service does not answer.
    #[error("cannot reach `{url}`: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The token service refuses (RFC 6749 section 5.2).
    #[error("`{url}` answers {status}: {error}: {description}")]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// `error`.
        error: String,
        /// `error_description`.
        description: String,
        /// `code`, where the answer has one.
        service_code: Option<String>,
        /// `Retry-After`, where the answer has one.
        retry_after: Option<Duration>,
    },
    /// The answer is not one of a token endpoint.
    #[error("the answer of `{url}` is no token: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The function that signs the client's assertions failed.
    #[error("cannot sign a client assertion: {0}")]
    Assertion(String),
    /// The bootstrap token is used, expired or unknown.
    #[error("the bootstrap token is unknown, used or expired: create a new one")]
    BootstrapRefused,
    /// The refresh token was used before, its family is revoked, or it is unknown.
    #[error("the refresh token is unknown, used or revoked: a new bootstrap token is needed")]
    RefreshRefused,
    /// The refresh token has expired.
    #[error("the refresh token has expired: a new bootstrap token is needed")]
    RefreshExpired,
    /// The last token has ended and no new one has come.
    #[error("there is no valid token: {0}")]
    NoToken(String),
    /// [`crate::ServiceClient::shutdown`] was called.
    #[error("the client is shut down")]
    Closed,
}

impl ClientError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Setting { .. } => "client_setting",
            ClientError::CredentialFile { .. } => "client_credential_file",
            ClientError::Http(_) => "client_http",
            ClientError::RefreshFile { .. } => "client_refresh_file",
            ClientError::RefreshFileInUse(_) => "client_refresh_file_in_use",
            ClientError::Unreachable { .. } => "client_unreachable",
            ClientError::Refused { .. } => "client_refused",
            ClientError::Answer { .. } => "client_answer",
            ClientError::Assertion(_) => "client_assertion_signing",
            ClientError::BootstrapRefused => "client_bootstrap_refused",
            ClientError::RefreshRefused => "client_refresh_refused",
            ClientError::RefreshExpired => "client_refresh_expired",
            ClientError::NoToken(_) => "client_no_token",
            ClientError::Closed => "client_closed",
        }
    }

    /// Whether the same request may be answered another time.
    pub fn is_temporary(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Answer { .. } => true,
            ClientError::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }

    /// Whether nothing but a new credential helps.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            ClientError::BootstrapRefused
                | ClientError::RefreshRefused
                | ClientError::RefreshExpired
                | ClientError::Closed
        )
    }

    /// How long the service asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            ClientError::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the grant itself was refused (RFC 6749 section 5.2).
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(self, ClientError::Refused { error, .. } if error == "invalid_grant")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, error: &str) -> ClientError {
        ClientError::Refused {
            url: "u".to_owned(),
            status,
            error: error.to_owned(),
            description: String::new(),
            service_code: None,
            retry_after: None,
        }
    }

    #[test]
    fn what_may_be_tried_again() {
        let cases = [
            (refused(400, "invalid_grant"), false),
            (refused(401, "invalid_client"), false),
            (refused(408, "x"), true),
            (refused(429, "too_many_requests"), true),
            (refused(500, "server_error"), true),
            (refused(503, "temporarily_unavailable"), true),
            (ClientError::RefreshRefused, false),
        ];
        for (error, temporary) in cases {
            assert_eq!(error.is_temporary(), temporary, "{error}");
        }
        assert!(refused(400, "invalid_grant").is_invalid_grant());
        assert!(!refused(400, "invalid_scope").is_invalid_grant());
    }
}

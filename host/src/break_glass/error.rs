use std::path::Path;

use thiserror::Error;

use crate::key_set::KeySetError;
use crate::random::NoRandom;
use crate::signing_key::{SignError, SigningKeyError};

/// Why no break-glass token was made.
#[derive(Debug, Error)]
pub enum BreakGlassError {
    /// The request breaks a rule.
    #[error("`{flag}` {problem}")]
    Request {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The audit record cannot be written, and without one there is no token.
    #[error("cannot write audit log `{path}`, so there is no token: {error}")]
    Audit {
        /// The audit log.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The audit log was changed.
    #[error("audit log `{path}`: line {line} does not follow from the one before it")]
    Chain {
        /// The audit log.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// The folder of keys cannot be used.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There are no identifiers for the token.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

impl BreakGlassError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            BreakGlassError::Request { .. } => "break_glass_request",
            BreakGlassError::Audit { .. } => "break_glass_audit",
            BreakGlassError::Chain { .. } => "break_glass_chain",
            BreakGlassError::KeySet(error) => error.code(),
            BreakGlassError::Key(error) => error.code(),
            BreakGlassError::Sign(_) => "break_glass_sign",
            BreakGlassError::Random(_) => "break_glass_random",
        }
    }

    pub(super) fn audit(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| BreakGlassError::Audit {
            path: path.clone(),
            error,
        }
    }
}

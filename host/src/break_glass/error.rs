use thiserror::Error;

use crate::audit::AuditError;
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
    #[error("no token without an audit record: {0}")]
    Audit(#[from] AuditError),
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
            BreakGlassError::Audit(error) => error.code(),
            BreakGlassError::KeySet(error) => error.code(),
            BreakGlassError::Key(error) => error.code(),
            BreakGlassError::Sign(_) => "break_glass_sign",
            BreakGlassError::Random(_) => "break_glass_random",
        }
    }
}

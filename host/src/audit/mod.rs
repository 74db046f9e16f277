//! The audit log: one JSON object per line, each with the SHA-256 digest of the line before it.
//! What was written cannot be altered, taken out or moved without [`verify`] finding it. No line
//! holds a token, whole or in part.

mod chain;
mod error;
mod line;
mod log;

pub use chain::{Chain, verify};
pub use error::{AuditError, ChainFault};
pub use line::{AuditEvent, AuditOutcome, AuditRecord};
pub use log::AuditLog;

//! Tokens for users when neither the service nor the identity provider works: signed on the
//! machine that has the keys, by whoever may read them, and never without a record.

mod claims;
mod drill;
mod error;

pub use claims::{DEFAULT_LIFETIME, LONGEST_LIFETIME, MintRequest, claims};
pub use drill::{Check, DrillSettings, drill};
pub use error::BreakGlassError;

//! Claims of a token (RFC 7519 section 4) and the rules they are held to.

mod error;
mod numeric_date;
mod parsed;
mod requirements;
mod rules;
mod text;
mod tokensmith;

pub use error::ClaimError;
pub(crate) use numeric_date::numeric_date;
pub use parsed::Claims;
pub use requirements::{AuthLevel, Requirements};
pub use rules::{ClaimRules, DEFAULT_LEEWAY, MAX_LEEWAY, Profile};

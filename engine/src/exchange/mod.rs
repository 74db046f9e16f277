//! What an exchanged token may carry: pure rules, the service supplies time, randomness, storage.

mod error;
mod groups;
mod issuance;
mod service_token;
mod user_token;

pub use error::ExchangeError;
pub use groups::{Grants, GroupGrants, narrow_scopes};
pub use issuance::{Issuance, MAX_SESSION_SECONDS};
pub use service_token::{ServiceGrant, service_claims};
pub use user_token::{ClaimDefaults, UserTokenRequest, UserTokenRules, user_claims};

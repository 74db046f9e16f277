//! What an exchanged token may carry: pure rules, the service supplies time, randomness, storage.

mod groups;

pub use groups::{Grants, GroupGrants, narrow_scopes};

//! The policy decision: may this principal do this action on this object.

mod compiled;
mod decision;
mod roles;

pub use compiled::{AuthzError, CompiledPolicy};
pub use decision::Decision;

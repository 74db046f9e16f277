//! Policies for JavaScript: signed bundles, decisions and what a policy says beyond them. A module
//! apart from the verifier's, as most pages need only that one; the package in `wasm/js` joins
//! them.

mod bundle;
mod caller;
mod policy;
mod texts;
#[path = "../../src/thrown.rs"]
mod thrown;

pub use bundle::{Bundle, Opened};
pub use caller::Caller;
pub use policy::Policy;

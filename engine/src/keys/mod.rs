//! Where keys come from: a JWK set URL as a state machine without IO.

mod source;

pub use source::{Fetch, FetchError, JwksSource, RefreshPolicy};

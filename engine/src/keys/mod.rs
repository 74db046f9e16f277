//! Where keys come from: a JWK set URL as a state machine without IO.

mod source;

pub use source::{Answer, Fetch, FetchError, JwksSource, RefreshPolicy};

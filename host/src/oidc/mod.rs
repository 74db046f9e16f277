//! The upstream OpenID provider: discovery, its keys, and the verification of its ID tokens.

mod discovery;
mod error;
mod http_get;
mod provider;

pub use error::OidcError;
pub use http_get::fetch_document;
pub use provider::{OidcProvider, OidcSettings};

//! Where keys come from: JWK set URLs as state machines without IO.
//!
//! A [`JwksSource`] is one URL. [`KeySources`] is what a verifier of several issuers needs: their
//! configured and fetched sets together as one [`crate::verify::KeyRing`].

mod refresh;
mod shared;
mod source;
mod sources;
mod unknown_kids;

pub use refresh::RefreshPolicy;
pub use shared::{FetchRecord, Seen, SharedDocument, Turn};
pub use source::{Answer, ExportedKeys, Fetch, FetchError, JwksSource};
pub use sources::{IssuerSource, KeySources, Loaded, Origin};

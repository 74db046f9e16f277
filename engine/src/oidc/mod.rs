//! What an OpenID provider sends, and what it is held to: ID tokens, access tokens, answers to
//! introspection, metadata. Signatures are [`crate::verify`]'s; nothing here is fetched.

mod access_token;
mod error;
mod id_token;
mod introspection;
mod metadata;
mod token_kind;

pub use access_token::check_access_token;
pub use error::ProviderTokenError;
pub use id_token::{IdTokenRules, access_token_hash, check_id_token};
pub use introspection::check_introspection;
pub use metadata::{MetadataError, ProviderMetadata};
pub use token_kind::TokenKind;

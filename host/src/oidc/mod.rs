//! The upstream OpenID provider: discovery, its keys, the verification of its tokens, and how one
//! provider takes the place of another while the service runs.

mod client_secret;
mod discovery;
mod error;
mod handle;
pub(crate) mod http_get;
mod identity_provider;
mod introspection;
mod provider;
mod provider_keys;
mod settings;

pub use client_secret::ClientSecret;
pub use error::OidcError;
pub use handle::{ProviderDescription, ProviderHandle, ProviderOrigin, follow_store};
pub use http_get::fetch_document;
pub use identity_provider::{
    ExpectedToken, Identity, IdentityProvider, Presented, ProviderMetrics, Verification,
};
pub use provider::OidcProvider;
pub use settings::{OidcClient, OidcOptions};
pub use tokensmith_engine::exchange::{ClaimMapping, ClaimPreset, ClaimSource, SessionStart};

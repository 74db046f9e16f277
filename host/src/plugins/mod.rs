//! Plugins: WebAssembly components that map the claims of the OpenID provider's tokens and take
//! scopes away, in a sandbox without files, network, clock and randomness.
//!
//! Each call has an instance of its own, with bounds on instructions, time, memory and answer.
//! Whatever goes wrong in it refuses the exchange. The interface is
//! `plugins/wit/tokensmith-plugin.wit`; this is behind the cargo feature `plugins`.

mod error;
mod file;
mod settings;

#[cfg(not(feature = "plugins"))]
mod absent;
#[cfg(feature = "plugins")]
mod followed;
#[cfg(feature = "plugins")]
mod in_use;
#[cfg(feature = "plugins")]
mod plugin;
#[cfg(feature = "plugins")]
mod sandbox;

pub use error::PluginError;
pub use settings::{PluginLimits, PluginSettings};

#[cfg(not(feature = "plugins"))]
pub use absent::{Plugin, Plugins};
#[cfg(feature = "plugins")]
pub use in_use::Plugins;
#[cfg(feature = "plugins")]
pub use plugin::Plugin;

/// A function that a plugin may export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// `map-claims`, of a claim mapper.
    MapClaims,
    /// `limit-scopes`, of a scope policy.
    LimitScopes,
}

/// What a scope policy is asked.
#[derive(Clone, Copy, Debug)]
pub struct ScopeQuestion<'q> {
    /// `sub` of the token.
    pub subject: &'q str,
    /// `aud` of the token.
    pub audience: &'q [String],
    /// The scopes that it would get.
    pub scopes: &'q [String],
    /// All of its claims, a JSON object.
    pub claims: &'q str,
}

/// What was counted of one plugin, from the start of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginCounts {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls in which the plugin refused.
    pub refused: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Times a file was loaded, the first included.
    pub loads: u64,
    /// Times a file did not load.
    pub failed_loads: u64,
}

impl Export {
    /// As the component names it.
    pub fn name(self) -> &'static str {
        match self {
            Export::MapClaims => "map-claims",
            Export::LimitScopes => "limit-scopes",
        }
    }

    /// The setting of the file that is used for it.
    pub fn setting(self) -> &'static str {
        match self {
            Export::MapClaims => "claim_mapper",
            Export::LimitScopes => "scope_policy",
        }
    }
}

//! The whole request decision as one pure function: route, authentication, authorization, mode.
//!
//! In this order, and in every mode but [`Mode::Off`], which only strips identity headers:
//!
//! 1. The path is normalised; one that servers read differently is refused.
//! 2. A CORS preflight is handed on, where [`Config::options_public`] says so.
//! 3. The first route that matches is found; a public one is handed on.
//! 4. The token is verified. There is no way to go on without one, for unmapped requests neither.
//! 5. Policy decides on the route's object and action. [`Mode::Shadow`] hands on all the same,
//!    unmapped requests too, and records what would have been denied.

mod actions;
mod config;
mod decider;
mod deny;
mod identity;
mod issuer_keys;
mod memory;
mod outcome;
mod path;
mod request;
mod routes;

pub use config::{
    CacheConfig, ClaimHeader, Config, ConfigError, DefaultRoute, IssuerConfig, Mode, PolicyConfig,
    ProfileName,
};
pub use decider::{Decider, Pending, Step, Unbound};
pub use identity::Identity;
pub use issuer_keys::WantedKeys;
pub use memory::Memory;
pub use outcome::{DecisionRecord, Denial, MatchedRule, Outcome, WantedKey};
pub use path::{PathError, normalise_path};
pub use request::Request;
pub use routes::{MatchedRoute, RouteConfig, RouteMatch, RouteTable};

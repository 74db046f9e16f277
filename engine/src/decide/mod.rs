//! The whole request decision as one pure function: route, authentication, authorization, mode.

mod config;
mod decider;
mod deny;
mod identity;
mod memory;
mod outcome;
mod path;
mod route;

pub use config::{
    CacheConfig, ClaimHeader, Config, ConfigError, DefaultRoute, IssuerConfig, Mode, PolicyConfig,
    ProfileName,
};
pub use decider::{Decider, Pending, Request, Step, Unbound};
pub use identity::Identity;
pub use memory::Memory;
pub use outcome::{DecisionRecord, Denial, Outcome, WantedKey};
pub use path::{PathError, normalise_path};
pub use route::{RouteConfig, RouteMatch};

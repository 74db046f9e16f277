//! The whole request decision as one pure function: route, authentication, authorization, mode.

mod config;
mod decider;
mod deny;
mod identity;
mod outcome;
mod path;
mod route;

pub use config::{
    CacheConfig, ClaimHeader, Config, ConfigError, DefaultRoute, IssuerConfig, Mode, PolicyConfig,
    ProfileName,
};
pub use decider::{Decider, Pending, Request, Step};
pub use identity::Identity;
pub use outcome::{DecisionRecord, Denial, Outcome};
pub use path::{PathError, normalise_path};
pub use route::{RouteConfig, RouteMatch};

//! The whole request decision as one pure function: route, authentication, authorization, mode.
//!
//! In this order, and in every mode but [`Mode::Off`], which only strips the headers that are set
//! here:
//!
//! 1. The path is normalised; one that servers read differently is refused.
//! 2. A CORS preflight is handed on, where [`Config::options_public`] says so.
//! 3. The first route that matches is found, and what the proxy's route says is laid over it
//!    ([`RouteOverride`]); a public one is handed on, and so is one whose mode is off.
//! 4. The tokens that the route asks for ([`Requires`]) are verified, and are their callers' own.
//!    Only where the configuration lets requests without a token come so far is there a way on
//!    without one, for unmapped requests neither.
//! 5. Policy decides on the route's object and action. Callers without a token are `anonymous` to
//!    it. [`Mode::Shadow`] hands on all the same, unmapped requests too, and records what would
//!    have been denied.
//!
//! Where [`Config::mode`] is off and some route's is not, the path is normalised too: there is no
//! other way to tell the routes.

mod actions;
mod authorize;
mod config;
mod cookies;
mod decider;
mod deny;
mod identity;
mod issuer_keys;
mod location;
mod memory;
mod outcome;
mod path;
mod policies;
mod query;
mod record;
mod request;
mod requirement;
mod route_override;
mod routes;
mod steps;
mod tokens;

use actions::rest_action;
pub use config::{
    CacheConfig, ClaimHeader, Config, ConfigError, DefaultRoute, FilterStateConfig, IssuerConfig,
    KeyWait, Mode, PayloadHeader, PolicyConfig, ProfileName, Requires, TokenLocation,
};
pub use decider::Decider;
pub use identity::Identity;
pub use issuer_keys::{BundleSource, WantedKeys};
pub use memory::Memory;
pub use outcome::{Denial, Outcome, WantedKey};
pub use path::{PathError, normalise_path};
pub use record::{DecisionRecord, MatchedRule, ShadowDecision};
pub use request::Request;
pub use route_override::RouteOverride;
pub use routes::{MatchedRoute, RouteConfig, RouteMatch, RouteTable};
pub use steps::{Pending, Step, Unbound};

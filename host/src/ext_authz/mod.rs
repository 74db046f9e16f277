//! Envoy's external authorization over gRPC (`envoy.service.auth.v3.Authorization`): the decision
//! of the filter, for proxies that do not load it.
//!
//! The configuration is that of the filter, [`tokensmith_engine::decide::Config`]; keys are
//! fetched from `jwks_uri` directly, so that `jwks_cluster` has no effect. Nothing here allows a
//! request because something failed: what cannot be decided is denied with 503, and Envoy has to
//! have `failure_mode_allow: false` for the case that this service does not answer at all.
//!
//! Bound tokens need `include_peer_certificate: true` at the proxy (RFC 8705), and its `headers`
//! must reach this service, which is so unless `allowed_headers` says otherwise.

mod answer;
mod attributes;
mod authorization;
mod configuration;
mod error;
mod key_fetching;
pub mod messages;
mod metrics;
mod server;

pub use authorization::Authorization;
pub use error::ExtAuthzError;
pub use metrics::{Counts, ExtAuthzMetrics};
pub use server::{ExtAuthz, ExtAuthzSettings};

//! The route table: what policy is asked about a request.

mod config;
mod host;
mod path_rule;
mod route;
mod table;
mod template;
mod tree;

pub use config::{RouteConfig, RouteMatch};
pub(super) use host::host_of;
pub use table::{MatchedRoute, RouteTable};

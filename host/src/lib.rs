//! The TokenSmith service and command line: thin shells over `tokensmith-engine`.

pub mod audit;
pub mod break_glass;
pub mod cli;
mod clock;
pub mod config_file;
pub mod ext_authz;
mod hangup;
pub mod key_set;
pub mod listener;
pub mod oidc;
pub mod plugins;
pub mod policy_reload;
mod private_file;
pub mod random;
pub mod service;
pub mod signing_key;
pub mod store;
pub mod store_import;
mod telemetry;
mod whole_file;

pub use tokensmith_policy_files as policy_files;

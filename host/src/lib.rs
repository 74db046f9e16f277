//! The TokenSmith service and command line: thin shells over `tokensmith-engine`.

pub mod audit;
pub mod cli;
mod clock;
pub mod config_file;
pub mod oidc;
pub mod policy_files;
pub mod policy_reload;
pub mod random;
pub mod service;
pub mod signing_key;
pub mod store;

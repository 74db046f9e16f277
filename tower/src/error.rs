use thiserror::Error;
use tokensmith_engine::decide::ConfigError;
use tokensmith_policy_files::PolicyLoadError;

/// Why there are no layers.
#[derive(Debug, Error)]
pub enum TowerError {
    /// The configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy's files are not good.
    #[error(transparent)]
    Policy(#[from] PolicyLoadError),
    /// The policy is given twice.
    #[error(
        "`policy` is in the configuration and policy files are given too: leave one of them out"
    )]
    TwoPolicies,
    /// Something has to be fetched and nothing fetches.
    #[error("`{0}` has to be fetched: give a `fetch`, or enable the feature `reqwest`")]
    NoFetch(String),
    /// There is no HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Http(String),
    /// The state of policy bundles cannot be read or written.
    #[error("bundle state `{path}`: {message}")]
    BundleState {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// Keys or policy did not come in time.
    #[error("not ready in time: {0} is missing")]
    NotReady(String),
}

impl TowerError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            TowerError::Config(error) => error.code(),
            TowerError::Policy(error) => error.code(),
            TowerError::TwoPolicies => "tower_two_policies",
            TowerError::NoFetch(_) => "tower_no_fetch",
            TowerError::Http(_) => "tower_http",
            TowerError::BundleState { .. } => "tower_bundle_state",
            TowerError::NotReady(_) => "tower_not_ready",
        }
    }
}

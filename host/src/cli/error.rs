use std::process::ExitCode;

use thiserror::Error;
use tokensmith_engine::authz::{AnalysisError, AuthzError};
use tokensmith_engine::jose::JwkError;
use tokensmith_engine::policy::BundleError;

use super::oidc::AdminError;
use crate::audit::AuditError;
use crate::break_glass::BreakGlassError;
use crate::config_file::ConfigFileError;
use crate::key_set::KeySetError;
use crate::oidc::OidcError;
use crate::plugins::PluginError;
use crate::policy_files::PolicyLoadError;
use crate::service::ServiceError;
use crate::signing_key::SigningKeyError;
use crate::store::StoreError;
use crate::store_import::StoreImportError;

/// Why a command could not do its work.
#[derive(Debug, Error)]
pub enum CliError {
    /// A file or a stream cannot be read or written.
    #[error("cannot read or write `{name}`: {error}")]
    Io {
        /// The file's path, or `standard input`.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// A JWK set is not usable.
    #[error("JWK set `{name}`: {error}")]
    Jwks {
        /// The file's path.
        name: String,
        /// Why.
        error: JwkError,
    },
    /// A policy does not load.
    #[error(transparent)]
    Policy(#[from] PolicyLoadError),
    /// A policy bundle cannot be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A signing key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The folder of signing keys cannot be used or changed.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// No break-glass token was made.
    #[error(transparent)]
    BreakGlass(#[from] BreakGlassError),
    /// A policy has no answer to a request.
    #[error(transparent)]
    Authz(#[from] AuthzError),
    /// A policy cannot be looked at in the way that was asked for.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The service does not start, or ended.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stores of the Go release cannot be read.
    #[error(transparent)]
    StoreImport(#[from] StoreImportError),
    /// The admin listener did not do what it was asked for.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The configuration file cannot be used.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// A plugin is not good, failed or refused.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Something cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] OidcError),
}

impl CliError {
    /// 2 for wrong usage, 1 for all else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage(_)
            | CliError::BreakGlass(BreakGlassError::Request { .. })
            | CliError::Jwks { .. }
            | CliError::Admin(AdminError::Address(_))
            | CliError::Fetch(_)
            | CliError::StoreImport(_)
            | CliError::Analysis(_) => ExitCode::from(2),
            CliError::Io { .. }
            | CliError::Policy(_)
            | CliError::Authz(_)
            | CliError::Bundle(_)
            | CliError::Key(_)
            | CliError::KeySet(_)
            | CliError::BreakGlass(_)
            | CliError::Admin(_)
            | CliError::Audit(_)
            | CliError::ConfigFile(_)
            | CliError::Plugin(_)
            | CliError::Service(_)
            | CliError::Store(_) => ExitCode::FAILURE,
        }
    }

    pub(super) fn io(name: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.into();
        move |error| CliError::Io { name, error }
    }
}

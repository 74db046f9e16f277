//! The configuration file: what groups grant, and what stands in for claims a provider lacks.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokensmith_engine::exchange::{ClaimDefaults, GroupGrants, UserTokenRules};

/// The file, JSON. Unknown members are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConfigFile {
    /// Group to scopes.
    pub group_scopes: BTreeMap<String, Vec<String>>,
    /// Group to roles.
    pub group_roles: BTreeMap<String, Vec<String>>,
    /// The identity token's claim that becomes `sub`; `preferred_username`, else `sub`, without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_claim: Option<String>,
    /// Values for claims that the provider does not send.
    pub claim_defaults: ClaimDefaults,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read configuration file `{path}`: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what is expected.
    #[error("{path}:{}:{}: {error}", error.line(), error.column())]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        error: serde_json::Error,
    },
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigFileError`].
    pub fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigFileError::Read {
            path: name.clone(),
            error,
        })?;
        serde_json::from_str(&text).map_err(|error| ConfigFileError::Parse { path: name, error })
    }

    /// The rules for exchanging identity tokens into tokens for `audiences`.
    pub fn into_rules(self, audiences: Vec<String>) -> UserTokenRules {
        UserTokenRules {
            groups: GroupGrants {
                scopes: self.group_scopes,
                roles: self.group_roles,
            },
            subject_claim: self.subject_claim,
            defaults: self.claim_defaults,
            audiences,
        }
    }
}

impl Default for ConfigFile {
    fn default() -> Self {
        let GroupGrants { scopes, roles } = GroupGrants::default();
        Self {
            group_scopes: scopes,
            group_roles: roles,
            subject_claim: None,
            claim_defaults: ClaimDefaults::default(),
        }
    }
}

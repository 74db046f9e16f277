//! The configuration file: settings of the service, what groups grant, how claims of a provider
//! are read, and who may exchange what.

mod error;
mod section;
mod syntax;
mod text;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokensmith_engine::exchange::{
    ClaimDefaults, ClaimMapping, ClientRegistration, ExchangePolicy, ExchangeRule, GroupGrants,
    ServiceIdentity, UserTokenRules,
};

use crate::plugins::PluginSettings;

pub use error::ConfigFileError;
pub use section::ServeSection;

use syntax::Syntax;

/// A file of more bytes than this is a mistake.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The file: TOML if its name ends in `.toml`, else JSON. What it does not have is `None` or
/// empty. Unknown fields are errors.
///
/// ```
/// use tokensmith::config_file::ConfigFile;
/// let toml = "subject_claim = \"email\"\n[serve]\nport = 8081\n";
/// let json = r#"{"subjectClaim": "email", "serve": {"port": 8081}}"#;
/// let file = ConfigFile::parse("site.toml", toml).unwrap();
/// assert_eq!(file, ConfigFile::parse("site.json", json).unwrap());
/// let error = ConfigFile::parse("site.toml", "[serve]\nports = 1\n").unwrap_err();
/// assert!(error.to_string().starts_with("site.toml:2:1: "));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConfigFile {
    /// Group to scopes.
    #[serde(alias = "group_scopes", skip_serializing_if = "Option::is_none")]
    pub group_scopes: Option<BTreeMap<String, Vec<String>>>,
    /// Group to roles.
    #[serde(alias = "group_roles", skip_serializing_if = "Option::is_none")]
    pub group_roles: Option<BTreeMap<String, Vec<String>>>,
    /// The identity token's claim that becomes `sub`; `preferred_username`, else `sub`, without.
    #[serde(alias = "subject_claim", skip_serializing_if = "Option::is_none")]
    pub subject_claim: Option<String>,
    /// Values for claims that the provider does not send.
    #[serde(alias = "claim_defaults", skip_serializing_if = "Option::is_none")]
    pub claim_defaults: Option<ClaimDefaults>,
    /// Settings of `serve`, below flags and environment.
    #[serde(skip_serializing)]
    pub serve: ServeSection,
    /// How claims of the provider are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<ClaimMapping>,
    /// Clients of the token endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientRegistration>,
    /// Services that are known by their certificates.
    #[serde(rename = "service_identities", skip_serializing_if = "Vec::is_empty")]
    pub service_identities: Vec<ServiceIdentity>,
    /// Who may exchange tokens for which others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exchange: Vec<ExchangeRule>,
    /// Plugins, and the limits of their calls.
    #[serde(skip_serializing_if = "PluginSettings::is_empty")]
    pub plugins: PluginSettings,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigFileError`].
    pub fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let name = path.display().to_string();
        match text_of(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(ConfigFileError::Read { path: name, error }),
        }
    }

    /// Reads the text of a file of this name.
    ///
    /// # Errors
    /// [`ConfigFileError`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigFileError> {
        let file: Self = Syntax::of(name).parse(name, text)?;
        match file.check() {
            Ok(()) => Ok(file),
            Err((field, message)) => Err(ConfigFileError::Value {
                path: name.to_owned(),
                field,
                message,
            }),
        }
    }

    /// What grants are when a file says nothing, spelled out.
    pub fn with_default_grants() -> Self {
        let GroupGrants { scopes, roles } = GroupGrants::default();
        Self {
            group_scopes: Some(scopes),
            group_roles: Some(roles),
            claim_defaults: Some(ClaimDefaults::default()),
            ..Self::default()
        }
    }

    /// The rules for exchanging identity tokens into tokens for `audiences`.
    pub fn into_rules(self, audiences: Vec<String>) -> UserTokenRules {
        let GroupGrants { scopes, roles } = GroupGrants::default();
        UserTokenRules {
            groups: GroupGrants {
                scopes: self.group_scopes.unwrap_or(scopes),
                roles: self.group_roles.unwrap_or(roles),
            },
            subject_claim: self.subject_claim,
            mapping: self.oidc.unwrap_or_default(),
            defaults: self.claim_defaults.unwrap_or_default(),
            audiences,
        }
    }
}

impl ConfigFile {
    /// What types cannot check: the field and a sentence.
    fn check(&self) -> Result<(), (String, String)> {
        if let Some(mapping) = &self.oidc {
            mapping
                .check()
                .map_err(|(field, message)| (format!("oidc.{field}"), message))?;
        }
        ClientRegistration::check_all(&self.clients)
            .map_err(|error| ("clients".to_owned(), error.to_string()))?;
        ServiceIdentity::check_all(&self.service_identities)
            .map_err(|error| ("service_identities".to_owned(), error.to_string()))?;
        ExchangePolicy::new(self.exchange.clone())
            .map(drop)
            .map_err(|error| ("exchange".to_owned(), error.to_string()))
    }
}

/// Without a byte order mark.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES.saturating_add(1))
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })
    } else {
        let message = format!("it is larger than {MAX_BYTES} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_both_syntaxes_are_alike() {
        let canonical = "subjectClaim = 'email'\n[groupScopes]\nops = ['read']\n[groupRoles]\n\
                         [claimDefaults]\nauth_factors = 2\n";
        let snake = canonical
            .replace("subjectClaim", "subject_claim")
            .replace("groupScopes", "group_scopes")
            .replace("groupRoles", "group_roles")
            .replace("claimDefaults", "claim_defaults");
        let json = r#"{"groupScopes": {"ops": ["read"]}, "groupRoles": {},
                       "subjectClaim": "email", "claimDefaults": {"auth_factors": 2}}"#;
        let file = ConfigFile::parse("a.json", json).unwrap();
        assert_eq!(ConfigFile::parse("a.toml", canonical).unwrap(), file);
        assert_eq!(ConfigFile::parse("a.TOML", &snake).unwrap(), file);
        let rules = file.into_rules(Vec::new());
        assert_eq!(rules.groups.scopes.len(), 1);
        assert!(rules.groups.roles.is_empty());
        let empty = ConfigFile::parse("a.toml", "").unwrap();
        assert_eq!(
            empty.into_rules(Vec::new()),
            ConfigFile::with_default_grants().into_rules(Vec::new())
        );
    }
}

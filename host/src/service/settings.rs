use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use tokensmith_engine::exchange::TokenTypeSpelling;

use crate::config_file::ConfigFile;
use crate::listener::{Limits, ListenAddress, TlsFiles};
use crate::oidc::{OidcClient, OidcOptions};
use crate::store::StoreLocation;

/// What the service is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Address of the admin endpoints, on this machine alone; none are served without.
    pub admin_listen: Option<ListenAddress>,
    /// Certificate and key to serve with, and the authorities of client certificates.
    pub tls: Option<TlsFiles>,
    /// Proxies that are believed who a caller is.
    pub trusted_proxies: Vec<IpNet>,
    /// What one listener allows.
    pub limits: Limits,
    /// Life of an access token in seconds.
    pub token_lifetime: i64,
    /// `typ` of the access tokens.
    pub access_token_type: AccessTokenType,
    /// How answers name the type of the issued token.
    pub issued_token_type: TokenTypeSpelling,
    /// `iss` of the tokens it makes, and the base of its endpoints' URLs.
    pub issuer: String,
    /// `cluster_id`.
    pub cluster_id: String,
    /// `openchami_id`.
    pub openchami_id: String,
    /// `aud` of exchanged identity tokens.
    pub audiences: Vec<String>,
    /// One signing key instead of the folder's.
    pub key_file: Option<PathBuf>,
    /// Folder of the signing keys.
    pub key_dir: PathBuf,
    /// For how long each signing key of the folder signs before a new one is made; none is made
    /// without.
    pub rotate_every: Option<Duration>,
    /// Bootstrap tokens and refresh families.
    pub store: StoreLocation,
    /// The policy; the baseline without.
    pub policy_dir: Option<PathBuf>,
    /// The configuration file's content; nothing in it without a file.
    pub config: ConfigFile,
    /// The audit log; none without.
    pub audit_log: Option<PathBuf>,
    /// The provider whose tokens are exchanged.
    pub oidc: Option<OidcClient>,
    /// How to deal with the provider.
    pub oidc_options: OidcOptions,
    /// External authorization for proxies without the filter; none without.
    pub ext_authz: Option<ExtAuthzPlace>,
    /// Each setting by its name, and where it came from.
    pub shown: Vec<ShownSetting>,
}

impl Settings {
    /// Whether clients may show certificates.
    pub fn takes_client_certificates(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|files| files.client_ca.is_some())
    }
}

/// `typ` of access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessTokenType {
    /// `JWT`.
    #[default]
    Jwt,
    /// `at+jwt` (RFC 9068 section 2.1).
    AtJwt,
}

/// Where the admin endpoints are: `off`, or an address that only this machine reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminListen {
    /// Nowhere.
    #[default]
    Off,
    /// At a loopback address or a Unix socket.
    On(ListenAddress),
}

/// Where external authorization listens, and what it decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtAuthzPlace {
    /// Where to listen.
    pub listen: ListenAddress,
    /// The configuration's file, as the filter takes it.
    pub config: PathBuf,
}

/// Where a setting comes from: the later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// A flag of the command line.
    Flag,
}

/// A setting as it is in use.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownSetting {
    /// As the file spells it.
    pub name: &'static str,
    /// What is shown of it.
    pub value: ShownValue,
    /// Where it came from.
    pub origin: Origin,
}

/// What is shown of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum ShownValue {
    /// It has none.
    Unset,
    /// Its value, without passwords.
    Value(Value),
    /// It is a secret: whether there is one.
    Secret(bool),
}

impl AccessTokenType {
    /// As it stands in a header.
    pub fn name(self) -> &'static str {
        match self {
            AccessTokenType::Jwt => "JWT",
            AccessTokenType::AtJwt => "at+jwt",
        }
    }
}

impl FromStr for AccessTokenType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "JWT" => Ok(AccessTokenType::Jwt),
            "at+jwt" => Ok(AccessTokenType::AtJwt),
            _ => Err(format!("`{text}` is neither `JWT` nor `at+jwt`")),
        }
    }
}

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(AdminListen::Off);
        }
        match text.parse::<ListenAddress>() {
            Ok(address) if address.is_local() => Ok(AdminListen::On(address)),
            Ok(_) => Err(format!(
                "`{text}` is reached from other machines: give a loopback address such as \
                 `127.0.0.1:8081`, `unix:PATH`, or `off`"
            )),
            Err(error) => Err(format!("{error}, or `off`")),
        }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminListen::Off => formatter.write_str("off"),
            AdminListen::On(address) => address.fmt(formatter),
        }
    }
}

impl Origin {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File => "file",
            Origin::Environment => "environment",
            Origin::Flag => "flag",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_endpoints_are_for_this_machine() {
        for text in ["off", "127.0.0.1:8081", "[::1]:0", "unix:/run/ts.sock"] {
            let address: AdminListen = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in ["", "on", "0.0.0.0:8081", "192.0.2.1:1", "[::]:1", "unix:"] {
            let error = text.parse::<AdminListen>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn flags_come_before_all_else() {
        assert!(Origin::Flag > Origin::Environment);
        assert!(Origin::Environment > Origin::File);
        assert!(Origin::File > Origin::Default);
    }
}

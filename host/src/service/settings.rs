use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::oidc::OidcSettings;
use crate::store::StoreLocation;

/// What the service is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
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
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The audit log; none without.
    pub audit_log: Option<PathBuf>,
    /// The provider whose identity tokens are exchanged.
    pub oidc: Option<OidcSettings>,
}

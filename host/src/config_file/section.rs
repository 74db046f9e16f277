use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tokensmith_engine::exchange::TokenTypeSpelling;

use super::text;
use crate::listener::ListenAddress;
use crate::service::{AccessTokenType, AdminListen};
use crate::store::StoreLocation;

/// Section `[serve]`: the flags of `tokensmith serve`, with `_` in the place of `-`. Times are
/// written as `15s` or `30d`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeSection {
    /// `--issuer`.
    pub issuer: Option<String>,
    /// `--listen-address`.
    #[serde(deserialize_with = "text::address")]
    pub listen_address: Option<IpAddr>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--cluster-id`.
    pub cluster_id: Option<String>,
    /// `--openchami-id`.
    pub openchami_id: Option<String>,
    /// `--audience`.
    pub audience: Option<Vec<String>>,
    /// `--oidc-issuer`.
    pub oidc_issuer: Option<String>,
    /// `--oidc-client-id`.
    pub oidc_client_id: Option<String>,
    /// `--oidc-allow-http`.
    pub oidc_allow_http: Option<bool>,
    /// `--oidc-ca`.
    pub oidc_ca: Option<PathBuf>,
    /// `--oidc-timeout`.
    #[serde(deserialize_with = "text::duration")]
    pub oidc_timeout: Option<Duration>,
    /// `--key-file`.
    pub key_file: Option<PathBuf>,
    /// `--key-dir`.
    pub key_dir: Option<PathBuf>,
    /// `--rotate-every`.
    #[serde(deserialize_with = "text::duration")]
    pub rotate_every: Option<Duration>,
    /// `--store`.
    #[serde(deserialize_with = "text::from_str")]
    pub store: Option<StoreLocation>,
    /// `--bootstrap-store`.
    #[serde(alias = "rfc8693_bootstrap_store")]
    pub bootstrap_store: Option<PathBuf>,
    /// `--rfc8693-refresh-store`, without effect.
    pub rfc8693_refresh_store: Option<PathBuf>,
    /// `--audit-log`.
    pub audit_log: Option<PathBuf>,
    /// `--policy-dir`.
    pub policy_dir: Option<PathBuf>,
    /// `--tls-cert-file`.
    pub tls_cert_file: Option<PathBuf>,
    /// `--tls-key-file`.
    pub tls_key_file: Option<PathBuf>,
    /// `--service-identity-ca`.
    pub service_identity_ca: Option<PathBuf>,
    /// `--admin-listen`.
    #[serde(deserialize_with = "text::from_str")]
    pub admin_listen: Option<AdminListen>,
    /// `--trusted-proxy`.
    #[serde(deserialize_with = "text::networks")]
    pub trusted_proxy: Option<Vec<IpNet>>,
    /// `--max-connections`.
    pub max_connections: Option<usize>,
    /// `--request-timeout`.
    #[serde(deserialize_with = "text::duration")]
    pub request_timeout: Option<Duration>,
    /// `--header-timeout`.
    #[serde(deserialize_with = "text::duration")]
    pub header_timeout: Option<Duration>,
    /// `--shutdown-timeout`.
    #[serde(deserialize_with = "text::duration")]
    pub shutdown_timeout: Option<Duration>,
    /// `--token-lifetime`.
    #[serde(deserialize_with = "text::duration")]
    pub token_lifetime: Option<Duration>,
    /// `--access-token-type`.
    #[serde(deserialize_with = "text::from_str")]
    pub access_token_type: Option<AccessTokenType>,
    /// `--issued-token-type`.
    #[serde(deserialize_with = "text::from_str")]
    pub issued_token_type: Option<TokenTypeSpelling>,
    /// `--non-enforcing`, without effect.
    pub non_enforcing: Option<bool>,
    /// `--enable-local-user-mint`, without effect.
    pub enable_local_user_mint: Option<bool>,
    /// `--ext-authz-listen`.
    #[serde(deserialize_with = "text::from_str")]
    pub ext_authz_listen: Option<ListenAddress>,
    /// `--ext-authz-config`.
    pub ext_authz_config: Option<PathBuf>,
}

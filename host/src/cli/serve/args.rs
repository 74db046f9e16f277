use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use ipnet::IpNet;
use tokensmith_engine::exchange::TokenTypeSpelling;

use crate::listener::{ListenAddress, parse_network};
use crate::service::{AccessTokenType, AdminListen};
use crate::store::StoreLocation;

/// The settings of the service, each `None` where neither flag nor environment says anything.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct ServeArgs {
    /// `iss` of the tokens, and the base URL the service is reached at
    /// [default: http://tokensmith:8080]
    #[arg(long, env = "TOKENSMITH_ISSUER")]
    pub(super) issuer: Option<String>,
    /// Address to listen on [default: 0.0.0.0]
    #[arg(long, env = "TOKENSMITH_LISTEN_ADDRESS")]
    pub(super) listen_address: Option<IpAddr>,
    /// Port to listen on; 0 lets the system choose [default: 8080]
    #[arg(long, env = "TOKENSMITH_PORT")]
    pub(super) port: Option<u16>,
    /// `cluster_id` of the tokens [default: cl-F00F00F00]
    #[arg(long, env = "TOKENSMITH_CLUSTER_ID")]
    pub(super) cluster_id: Option<String>,
    /// `openchami_id` of the tokens [default: oc-F00F00F00]
    #[arg(long, env = "TOKENSMITH_OPENCHAMI_ID")]
    pub(super) openchami_id: Option<String>,
    /// `aud` of exchanged identity tokens; may be given several times [default: openchami]
    #[arg(long, env = "TOKENSMITH_AUDIENCE", value_delimiter = ',')]
    pub(super) audience: Option<Vec<String>>,
    /// Issuer of the identity tokens to exchange; no exchange without
    /// [env: TOKENSMITH_OIDC_PROVIDER too]
    #[arg(long, env = "TOKENSMITH_OIDC_ISSUER")]
    pub(super) oidc_issuer: Option<String>,
    /// Client the identity tokens are issued to; its secret, if it has one, is taken from
    /// OIDC_CLIENT_SECRET in the environment
    #[arg(long, env = "OIDC_CLIENT_ID")]
    pub(super) oidc_client_id: Option<String>,
    /// Allow http to an OIDC provider on another machine [default: false]
    #[arg(
        long,
        env = "TOKENSMITH_OIDC_ALLOW_HTTP",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(super) oidc_allow_http: Option<bool>,
    /// PEM file of authorities that the OIDC provider's certificate may be of, beside the system's
    #[arg(long, env = "TOKENSMITH_OIDC_CA")]
    pub(super) oidc_ca: Option<PathBuf>,
    /// The longest a request to the OIDC provider may take [default: 5s]
    #[arg(long, env = "TOKENSMITH_OIDC_TIMEOUT", value_parser = humantime::parse_duration)]
    pub(super) oidc_timeout: Option<Duration>,
    /// PEM file of the one signing key, instead of a folder
    #[arg(long, env = "TOKENSMITH_KEY_FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Folder of the signing keys: `keys.json` says when each of them signs, without it the last
    /// `*.pem` by name does; one is made where there is none [default: ./data/keys]
    #[arg(long, env = "TOKENSMITH_KEY_DIR")]
    pub(super) key_dir: Option<PathBuf>,
    /// Make a new signing key so that each signs for this long, such as `30d`; never without
    #[arg(long, env = "TOKENSMITH_ROTATE_EVERY", value_parser = humantime::parse_duration)]
    pub(super) rotate_every: Option<Duration>,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Accepted for older set-ups: refresh tokens are in the one store
    #[arg(long, env = "TOKENSMITH_RFC8693_REFRESH_STORE", hide = true)]
    pub(super) rfc8693_refresh_store: Option<PathBuf>,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Folder of the policy: `*.csv`, and `model.conf` if it is not the baseline's
    /// [env: TOKENSMITH_POLICY_DIR, else AUTHZ_POLICY_DIR]
    #[arg(long)]
    pub(super) policy_dir: Option<PathBuf>,
    /// PEM file of the certificate to serve TLS with, and after it the ones that lead to its
    /// authority; plain HTTP without
    #[arg(long, env = "TOKENSMITH_TLS_CERT_FILE")]
    pub(super) tls_cert_file: Option<PathBuf>,
    /// PEM file of the certificate's private key, readable by its owner only
    #[arg(long, env = "TOKENSMITH_TLS_KEY_FILE")]
    pub(super) tls_key_file: Option<PathBuf>,
    /// PEM file of the authorities that services' certificates are verified with; needs TLS
    #[arg(long, env = "TOKENSMITH_SERVICE_IDENTITY_CA")]
    pub(super) service_identity_ca: Option<PathBuf>,
    /// Where the admin endpoints are: a loopback address and port, `unix:PATH`, or `off`
    /// [default: off]
    #[arg(long, env = "TOKENSMITH_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(super) admin_listen: Option<AdminListen>,
    /// Network of proxies that are believed who a caller is, such as `10.0.0.0/8`; may be given
    /// several times; none without
    #[arg(
        long,
        env = "TOKENSMITH_TRUSTED_PROXY",
        value_delimiter = ',',
        value_name = "NETWORK",
        value_parser = parse_network
    )]
    pub(super) trusted_proxy: Option<Vec<IpNet>>,
    /// Connections at a time [default: 1024]
    #[arg(long, env = "TOKENSMITH_MAX_CONNECTIONS")]
    pub(super) max_connections: Option<usize>,
    /// For a request's body to arrive and its answer to be ready [default: 15s]
    #[arg(long, env = "TOKENSMITH_REQUEST_TIMEOUT", value_parser = humantime::parse_duration)]
    pub(super) request_timeout: Option<Duration>,
    /// For a TLS handshake and a request's header to arrive [default: 10s]
    #[arg(long, env = "TOKENSMITH_HEADER_TIMEOUT", value_parser = humantime::parse_duration)]
    pub(super) header_timeout: Option<Duration>,
    /// For requests in flight to end when the service does [default: 10s]
    #[arg(long, env = "TOKENSMITH_SHUTDOWN_TIMEOUT", value_parser = humantime::parse_duration)]
    pub(super) shutdown_timeout: Option<Duration>,
    /// Life of an access token, at most a day [default: 1h]
    #[arg(long, env = "TOKENSMITH_TOKEN_LIFETIME", value_parser = humantime::parse_duration)]
    pub(super) token_lifetime: Option<Duration>,
    /// `typ` of access tokens: `JWT` or `at+jwt` [default: JWT]
    #[arg(long, env = "TOKENSMITH_ACCESS_TOKEN_TYPE", value_name = "TYPE")]
    pub(super) access_token_type: Option<AccessTokenType>,
    /// How answers spell the type of the issued token: `openchami` (with hyphens) or `rfc8693`
    /// [default: openchami]
    #[arg(long, env = "TOKENSMITH_ISSUED_TOKEN_TYPE", value_name = "SPELLING")]
    pub(super) issued_token_type: Option<TokenTypeSpelling>,
    /// Accepted for older set-ups, without effect
    #[arg(
        long,
        env = "TOKENSMITH_NON_ENFORCING",
        hide = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(super) non_enforcing: Option<bool>,
    /// Accepted for older set-ups: `tokensmith user-token create` has it
    #[arg(
        long,
        env = "TOKENSMITH_ENABLE_LOCAL_USER_MINT",
        hide = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(super) enable_local_user_mint: Option<bool>,
    /// Where Envoy's external authorization is served over gRPC: `ADDRESS:PORT` or `unix:PATH`;
    /// nowhere without
    #[arg(long, env = "TOKENSMITH_EXT_AUTHZ_LISTEN", value_name = "ADDRESS")]
    pub(super) ext_authz_listen: Option<ListenAddress>,
    /// What external authorization decides by: JSON, as the filter's configuration
    #[arg(long, env = "TOKENSMITH_EXT_AUTHZ_CONFIG")]
    pub(super) ext_authz_config: Option<PathBuf>,
}

/// Where the store is.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct StoreArgs {
    /// The store, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`
    #[arg(
        long,
        env = "TOKENSMITH_STORE",
        hide_env_values = true,
        value_parser = store_or_problem
    )]
    pub(super) store: Option<Result<StoreLocation, String>>,
    /// Folder of the store, when `--store` is not given [default: ./data/bootstrap-tokens]
    #[arg(
        long,
        visible_alias = "rfc8693-bootstrap-store",
        env = "TOKENSMITH_RFC8693_BOOTSTRAP_STORE"
    )]
    pub(super) bootstrap_store: Option<PathBuf>,
}

/// Where the audit log is.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct AuditArgs {
    /// Audit log, JSON lines in a chain of digests; what cannot be written there is not issued
    #[arg(long, env = "TOKENSMITH_AUDIT_LOG", value_name = "PATH")]
    pub(super) audit_log: Option<PathBuf>,
}

/// What is no location stays in the value as a problem: the parser of arguments would print the
/// text, and the password in it.
fn store_or_problem(text: &str) -> Result<Result<StoreLocation, String>, Infallible> {
    Ok(text.parse())
}

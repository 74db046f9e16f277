use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CliError, runtime};
use crate::oidc::OidcSettings;
use crate::service::{Listening, ServiceError, Settings};
use crate::store::StoreLocation;

/// Signing keys are not made more often than this.
const LEAST_ROTATION: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// `iss` of the tokens, and the base URL the service is reached at
    #[arg(
        long,
        env = "TOKENSMITH_ISSUER",
        default_value = "http://tokensmith:8080"
    )]
    issuer: String,
    /// Address to listen on
    #[arg(long, env = "TOKENSMITH_LISTEN_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen_address: IpAddr,
    /// Port to listen on; 0 lets the system choose
    #[arg(long, env = "TOKENSMITH_PORT", default_value_t = 8080)]
    port: u16,
    /// `cluster_id` of the tokens
    #[arg(long, env = "TOKENSMITH_CLUSTER_ID", default_value = "cl-F00F00F00")]
    cluster_id: String,
    /// `openchami_id` of the tokens
    #[arg(long, env = "TOKENSMITH_OPENCHAMI_ID", default_value = "oc-F00F00F00")]
    openchami_id: String,
    /// `aud` of exchanged identity tokens; may be given several times
    #[arg(
        long,
        env = "TOKENSMITH_AUDIENCE",
        value_delimiter = ',',
        default_value = "openchami"
    )]
    audience: Vec<String>,
    /// Issuer of the identity tokens to exchange; no exchange without
    #[arg(long, env = "TOKENSMITH_OIDC_ISSUER", requires = "oidc_client_id")]
    oidc_issuer: Option<String>,
    /// Client the identity tokens are issued to
    #[arg(long, env = "OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// Allow http to an OIDC provider on another machine
    #[arg(long, env = "TOKENSMITH_OIDC_ALLOW_HTTP")]
    oidc_allow_http: bool,
    /// The longest a request to the OIDC provider may take, such as `5s`
    #[arg(long, env = "TOKENSMITH_OIDC_TIMEOUT", default_value = "5s", value_parser = humantime::parse_duration)]
    oidc_timeout: Duration,
    /// PEM file of the one signing key, instead of a folder
    #[arg(long, env = "TOKENSMITH_KEY_FILE", conflicts_with = "key_dir")]
    key_file: Option<PathBuf>,
    /// Folder of the signing keys: `keys.json` says when each of them signs, without it the last
    /// `*.pem` by name does; one is made where there is none
    #[arg(long, env = "TOKENSMITH_KEY_DIR", default_value = "./data/keys")]
    key_dir: PathBuf,
    /// Make a new signing key so that each signs for this long, such as `30d`; never without
    #[arg(
        long,
        env = "TOKENSMITH_ROTATE_EVERY",
        conflicts_with = "key_file",
        value_parser = humantime::parse_duration
    )]
    rotate_every: Option<Duration>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// Accepted for older set-ups: refresh tokens are in the one store
    #[arg(long, env = "TOKENSMITH_RFC8693_REFRESH_STORE", hide = true)]
    rfc8693_refresh_store: Option<PathBuf>,
    /// Folder of the policy: `*.csv`, and `model.conf` if it is not the baseline's
    /// [env: TOKENSMITH_POLICY_DIR, else AUTHZ_POLICY_DIR]
    #[arg(long)]
    policy_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// The store, `sqlite:PATH`
    #[arg(long, env = "TOKENSMITH_STORE")]
    store: Option<StoreLocation>,
    /// Folder of the store, when `--store` is not given
    #[arg(
        long,
        visible_alias = "rfc8693-bootstrap-store",
        env = "TOKENSMITH_RFC8693_BOOTSTRAP_STORE",
        default_value = "./data/bootstrap-tokens"
    )]
    bootstrap_store: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Audit log, JSON lines in a chain of digests; what cannot be written there is not issued
    #[arg(long, env = "TOKENSMITH_AUDIT_LOG", value_name = "PATH")]
    pub(super) audit_log: Option<PathBuf>,
}

impl StoreArgs {
    pub(super) fn location(&self) -> StoreLocation {
        self.store
            .clone()
            .unwrap_or_else(|| StoreLocation::in_folder(&self.bootstrap_store))
    }
}

pub(super) fn run(arguments: ServeArgs, config: Option<PathBuf>) -> Result<ExitCode, CliError> {
    start_log();
    if arguments.rfc8693_refresh_store.is_some() {
        tracing::warn!("`--rfc8693-refresh-store` has no effect: refresh tokens are in the store");
    }
    let settings = arguments.settings(config)?;
    runtime()?.block_on(async {
        let listening = Listening::start(settings).await?;
        let address = listening.address().map_err(ServiceError::Serve)?;
        println!("listening on http://{address}");
        listening.serve(shutdown()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

impl ServeArgs {
    fn settings(self, config: Option<PathBuf>) -> Result<Settings, CliError> {
        if self
            .audience
            .iter()
            .any(|audience| audience.trim().is_empty())
        {
            return Err(CliError::Usage("`--audience` is empty".to_owned()));
        }
        // A key has to be published, and known everywhere, long before the next one is.
        if self
            .rotate_every
            .is_some_and(|every| every < LEAST_ROTATION)
        {
            return Err(CliError::Usage(
                "`--rotate-every` has to be at least an hour".to_owned(),
            ));
        }
        let oidc = match (self.oidc_issuer, self.oidc_client_id) {
            (Some(issuer), Some(client_id)) => Some(OidcSettings {
                issuer,
                client_id,
                allow_http: self.oidc_allow_http,
                timeout: self.oidc_timeout,
            }),
            _ => None,
        };
        Ok(Settings {
            listen: SocketAddr::new(self.listen_address, self.port),
            issuer: self.issuer,
            cluster_id: self.cluster_id,
            openchami_id: self.openchami_id,
            audiences: self.audience,
            key_file: self.key_file,
            key_dir: self.key_dir,
            rotate_every: self.rotate_every,
            store: self.store.location(),
            audit_log: self.audit.audit_log,
            policy_dir: self.policy_dir.or_else(policy_dir_from_environment),
            config,
            oidc,
        })
    }
}

/// The first of the two variables that is not blank.
fn policy_dir_from_environment() -> Option<PathBuf> {
    ["TOKENSMITH_POLICY_DIR", "AUTHZ_POLICY_DIR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// JSON lines on standard error; `RUST_LOG` chooses, `info` without.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Another log is there already: then that is the log.
    drop(log.try_init());
}

/// Ends at SIGTERM or an interrupt.
async fn shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM");
            drop(tokio::signal::ctrl_c().await);
        }
    }
}

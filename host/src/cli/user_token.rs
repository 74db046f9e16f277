use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::CliError;
use super::serve::{KeyPlace, Layers};
use crate::audit::{AuditEvent, AuditLog, AuditOutcome, AuditRecord};
use crate::break_glass::{BreakGlassError, DrillSettings, MintRequest, claims, drill};
use crate::clock::unix_now;
use crate::key_set::KeyFolder;
use crate::signing_key::SigningKey;

/// Name of the audit log next to the keys.
const AUDIT_LOG: &str = "break-glass-audit.jsonl";

#[derive(Debug, Subcommand)]
pub(super) enum UserTokenCommand {
    /// Sign a user's token here, without the service and the identity provider: break-glass
    Create(Box<CreateArgs>),
}

#[derive(Debug, Subcommand)]
pub(super) enum BreakGlassCommand {
    /// Check that a token could be made in an emergency; leaves nothing behind
    Drill(DrillArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Required: says that this is meant
    #[arg(long)]
    enable_local_user_mint: bool,
    /// `sub` of the token
    #[arg(long)]
    subject: String,
    /// `aud` of the token; may be given several times
    #[arg(long, value_delimiter = ',', default_value = "openchami")]
    audience: Vec<String>,
    /// `scope` of the token, separated by commas
    #[arg(long, required = true, value_delimiter = ',')]
    scopes: Vec<String>,
    /// Why it is needed, for the audit log and the token's `break_glass_reason`
    #[arg(long)]
    reason: String,
    /// How long it is good, at most an hour
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// `iss` of the token: the service's [default: http://tokensmith:8080]
    #[arg(long, env = "TOKENSMITH_ISSUER")]
    issuer: Option<String>,
    /// `cluster_id` of the token [default: cl-F00F00F00]
    #[arg(long, env = "TOKENSMITH_CLUSTER_ID")]
    cluster_id: Option<String>,
    /// `openchami_id` of the token [default: oc-F00F00F00]
    #[arg(long, env = "TOKENSMITH_OPENCHAMI_ID")]
    openchami_id: Option<String>,
    /// PEM file of the signing key; this or a folder is required, here or in the configuration
    #[arg(long, conflicts_with = "key_dir")]
    key_file: Option<PathBuf>,
    /// Folder of the signing keys: the one that signs now is used
    #[arg(long)]
    key_dir: Option<PathBuf>,
    /// The audit log; `break-glass-audit.jsonl` next to the keys without
    #[arg(long)]
    audit_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    /// The service's issuer [default: http://tokensmith:8080]
    #[arg(long, env = "TOKENSMITH_ISSUER")]
    issuer: Option<String>,
    /// PEM file of the signing key, instead of a folder
    #[arg(long, conflicts_with = "key_dir")]
    key_file: Option<PathBuf>,
    /// Folder of the signing keys [default: ./data/keys]
    #[arg(long)]
    key_dir: Option<PathBuf>,
    /// The audit log; `break-glass-audit.jsonl` next to the keys without
    #[arg(long)]
    audit_log: Option<PathBuf>,
}

pub(super) fn run(command: UserTokenCommand, layers: &Layers) -> Result<ExitCode, CliError> {
    let UserTokenCommand::Create(arguments) = command;
    if !arguments.enable_local_user_mint {
        return Err(CliError::Usage(
            "a user's token made here is for emergencies: `--enable-local-user-mint` is required"
                .to_owned(),
        ));
    }
    create(*arguments, layers)
}

pub(super) fn run_break_glass(
    command: BreakGlassCommand,
    layers: &Layers,
) -> Result<ExitCode, CliError> {
    let BreakGlassCommand::Drill(arguments) = command;
    let keys = layers
        .keys(arguments.key_file, arguments.key_dir)
        .map_err(CliError::Usage)?;
    let (key_file, key_dir) = match keys {
        Some((KeyPlace::File(path), _)) => (Some(path), layers.key_dir(None)),
        Some((KeyPlace::Folder(path), _)) => (None, path),
        None => (None, layers.key_dir(None)),
    };
    let given = arguments.audit_log.or_else(|| configured_log(layers));
    let audit_log = audit_log(given, key_file.as_deref(), Some(&key_dir));
    let checks = drill(
        &DrillSettings {
            issuer: layers.issuer(arguments.issuer),
            key_file,
            key_dir,
            audit_log,
        },
        unix_now(),
    );
    for check in &checks {
        let (mark, text) = match &check.result {
            Ok(text) => ("ok  ", text),
            Err(text) => ("FAIL", text),
        };
        println!("[{mark}] {}: {text}", check.name);
    }
    Ok(if checks.iter().all(|check| check.result.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn create(arguments: CreateArgs, layers: &Layers) -> Result<ExitCode, CliError> {
    let now = unix_now();
    let request = MintRequest {
        issuer: layers.issuer(arguments.issuer),
        subject: arguments.subject,
        audience: arguments.audience,
        scopes: arguments.scopes,
        lifetime: arguments.ttl,
        cluster_id: layers.cluster_id(arguments.cluster_id),
        openchami_id: layers.openchami_id(arguments.openchami_id),
        reason: arguments.reason,
    };
    let claims = claims(&request, now)?;
    let keys = layers
        .keys(arguments.key_file, arguments.key_dir)
        .map_err(CliError::Usage)?;
    let (key_file, key_dir) = match keys {
        Some((KeyPlace::File(path), _)) => (Some(path), None),
        Some((KeyPlace::Folder(path), _)) => (None, Some(path)),
        None => (None, None),
    };
    let key = match (&key_file, &key_dir) {
        (Some(path), _) => Arc::new(SigningKey::open(path)?),
        (None, Some(path)) => KeyFolder::new(path).signing_key(now)?,
        (None, None) => {
            return Err(CliError::Usage(
                "`--key-file` or `--key-dir` is required".to_owned(),
            ));
        }
    };
    let token = key.sign(&claims).map_err(BreakGlassError::from)?;
    let given = arguments.audit_log.or_else(|| configured_log(layers));
    let log = audit_log(given, key_file.as_deref(), key_dir.as_deref());
    // No token leaves without a record; a record without a token does no harm.
    write_record(&log, &claims, key.kid())?;
    print(&token).map_err(CliError::io("standard output"))?;
    Ok(ExitCode::SUCCESS)
}

/// The audit log says everything but the token.
fn write_record(log: &Path, claims: &Map<String, Value>, kid: &str) -> Result<(), BreakGlassError> {
    let mut about = Map::new();
    about.insert("operator".to_owned(), operator());
    for name in [
        "iss",
        "aud",
        "scope",
        "exp",
        "session_id",
        "cluster_id",
        "openchami_id",
    ] {
        if let Some(value) = claims.get(name) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(reason) = claims.get("break_glass_reason") {
        about.insert("reason".to_owned(), reason.clone());
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let record = AuditRecord {
        event: AuditEvent::LocalUserToken,
        outcome: AuditOutcome::Done,
        code: "ok",
        subject: text("sub").unwrap_or_default(),
        client: "local",
        request_id: "",
        jti: text("jti"),
        kid: Some(kid),
        about: Some(&about),
    };
    Ok(AuditLog::open(log)?.append(&record, true)?)
}

/// Who runs this: the system's word, and the names that the environment gives, which is only a
/// hint.
fn operator() -> Value {
    let name = |variable: &str| std::env::var(variable).ok();
    json!({
        "uid": std::fs::metadata("/proc/self").ok().map(|process| process.uid()),
        "user": name("USER").or_else(|| name("LOGNAME")),
        "sudo_user": name("SUDO_USER"),
        "host": std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .map(|name| name.trim().to_owned()),
    })
}

fn configured_log(layers: &Layers) -> Option<PathBuf> {
    layers.file().serve.audit_log.clone()
}

fn audit_log(given: Option<PathBuf>, key_file: Option<&Path>, key_dir: Option<&Path>) -> PathBuf {
    let folder = match key_file {
        Some(file) => file.parent(),
        None => key_dir,
    };
    given.unwrap_or_else(|| folder.unwrap_or(Path::new("")).join(AUDIT_LOG))
}

/// A file or pipe gets the bare token, a person a line.
fn print(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    output.write_all(text.as_bytes())?;
    if output.is_terminal() {
        output.write_all(b"\n")?;
    }
    output.flush()
}

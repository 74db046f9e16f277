use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tokensmith_engine::exchange::ServiceGrant;

use super::serve::{AuditArgs, Layers, StoreArgs};
use super::{CliError, runtime};
use crate::audit::{AuditEvent, AuditLog, AuditOutcome, AuditRecord};
use crate::clock::unix_now;
use crate::random;
use crate::store::{NewBootstrapToken, OpaqueDigest, Store};

#[derive(Debug, Subcommand)]
pub(super) enum BootstrapTokenCommand {
    /// Make a bootstrap token and print it, once: only its digest is stored
    Create(CreateArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// `sub` of the service's tokens
    #[arg(long)]
    subject: String,
    /// `aud` of the service's tokens; may be given several times
    #[arg(long, required = true, value_delimiter = ',')]
    audience: Vec<String>,
    /// `scope` of the service's tokens, separated by commas or white space
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    /// `roles` of the service's tokens, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "service")]
    roles: Vec<String>,
    /// How long it can be redeemed, such as `10m`
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// For how long after it is redeemed tokens can be refreshed, such as `24h`
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    refresh_ttl: Duration,
    /// A name for the machine or service it is made for
    #[arg(long)]
    binding_identifier: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    output_format: OutputFormat,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputFormat {
    /// The token alone
    Text,
    /// The token and what it grants
    Json,
}

pub(super) fn run(command: BootstrapTokenCommand, layers: &Layers) -> Result<ExitCode, CliError> {
    let BootstrapTokenCommand::Create(arguments) = command;
    let now = unix_now();
    let grant = ServiceGrant {
        subject: text("--subject", &arguments.subject)?,
        audience: list("--audience", &arguments.audience)?,
        scopes: list("--scopes", &words(&arguments.scopes))?,
        roles: list("--roles", &arguments.roles)?,
    };
    let refresh_ttl = seconds("--refresh-ttl", arguments.refresh_ttl)?;
    let expires_at = now.saturating_add(seconds("--ttl", arguments.ttl)?);
    let token = random::opaque_token().map_err(|error| CliError::Usage(error.to_string()))?;
    let stored = NewBootstrapToken {
        digest: OpaqueDigest::of(&token),
        grant,
        binding_identifier: arguments.binding_identifier,
        created_at: now,
        expires_at,
        refresh_ttl,
    };
    if let Some(path) = layers.audit_log(&arguments.audit) {
        audit(&AuditLog::open(&path)?, &stored.grant.subject)?;
    }
    runtime()?.block_on(async {
        let store = Store::open(&layers.store(&arguments.store)?).await?;
        store.create_bootstrap(&stored).await?;
        store.close().await;
        Ok::<_, CliError>(())
    })?;
    let printed = match arguments.output_format {
        OutputFormat::Text => token,
        OutputFormat::Json => format!(
            "{:#}",
            json!({
                "bootstrap_token": token,
                "subject": stored.grant.subject,
                "audience": stored.grant.audience,
                "scopes": stored.grant.scopes,
                "roles": stored.grant.roles,
                "binding_identifier": stored.binding_identifier,
                "expires_at": expires_at,
                "refresh_ttl": refresh_ttl,
            })
        ),
    };
    print(&printed).map_err(CliError::io("standard output"))?;
    Ok(ExitCode::SUCCESS)
}

/// Comes first: a token that cannot be audited is not made.
fn audit(log: &AuditLog, subject: &str) -> Result<(), CliError> {
    let request = random::identifier().map_err(|error| CliError::Usage(error.to_string()))?;
    log.append(
        &AuditRecord {
            event: AuditEvent::BootstrapCreate,
            outcome: AuditOutcome::Done,
            code: "ok",
            subject,
            client: "local",
            request_id: &request,
            jti: None,
            kid: None,
            about: None,
        },
        true,
    )?;
    Ok(())
}

/// A file or pipe gets the bare value, a person a line.
fn print(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    output.write_all(text.as_bytes())?;
    if output.is_terminal() {
        output.write_all(b"\n")?;
    }
    output.flush()
}

fn text(flag: &str, value: &str) -> Result<String, CliError> {
    let value = value.trim();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(CliError::Usage(format!(
            "`{flag}` is empty or has control characters"
        )));
    }
    Ok(value.to_owned())
}

/// The words of all values.
fn words(values: &[String]) -> Vec<String> {
    let words = values.iter().flat_map(|value| value.split_whitespace());
    words.map(str::to_owned).collect()
}

fn list(flag: &str, values: &[String]) -> Result<Vec<String>, CliError> {
    values.iter().map(|value| text(flag, value)).collect()
}

fn seconds(flag: &str, duration: Duration) -> Result<i64, CliError> {
    i64::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| (1..=10 * 365 * 24 * 3600).contains(seconds))
        .ok_or_else(|| CliError::Usage(format!("`{flag}` has to be between 1 second and 10 years")))
}

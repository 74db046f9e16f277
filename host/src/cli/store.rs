use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::serve::{AuditArgs, Layers, StoreArgs};
use super::{CliError, runtime};
use crate::audit::{AuditEvent, AuditLog, AuditOutcome, AuditRecord};
use crate::clock::unix_now;
use crate::random;
use crate::store::{Store, StoreCheck, StoreLocation};
use crate::store_import::{
    ImportCounts, ImportReport, ImportedBootstrap, ImportedFamily, RefusedRecord, StoreFiles,
    read_bootstrap_tokens, read_refresh_families,
};

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Take over the token stores of the Go release, all of them or, when a file is not
    /// understood, nothing: exit code 0 when it was done, 1 when not
    Import(Box<ImportArgs>),
    /// Look whether the store is whole and of this version; changes nothing
    Check(CheckArgs),
    /// Bring the store to this version, as `serve` does when it starts
    Migrate(MigrateArgs),
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Bootstrap tokens: the folder of `--rfc8693-bootstrap-store`, or one file of it
    #[arg(long, value_name = "PATH", required_unless_present = "refresh")]
    bootstrap: Option<PathBuf>,
    /// Refresh families: the folder of `--rfc8693-refresh-store`, or one file of it
    #[arg(long, value_name = "PATH")]
    refresh: Option<PathBuf>,
    /// `roles` of the services' tokens, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "service", value_parser = role)]
    roles: Vec<String>,
    /// Say what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines
    Text,
    /// A JSON object
    Json,
}

/// What came of an import.
struct Outcome {
    report: ImportReport,
    /// The store has what the files have.
    done: bool,
}

pub(super) fn run(command: StoreCommand, layers: &Layers) -> Result<ExitCode, CliError> {
    match command {
        StoreCommand::Import(arguments) => import(&arguments, layers),
        StoreCommand::Check(arguments) => check(&arguments, layers),
        StoreCommand::Migrate(arguments) => migrate(&arguments, layers),
    }
}

fn import(arguments: &ImportArgs, layers: &Layers) -> Result<ExitCode, CliError> {
    let now = unix_now();
    let tokens = match &arguments.bootstrap {
        Some(path) => read_bootstrap_tokens(path, &arguments.roles, now)?,
        None => StoreFiles::default(),
    };
    let families = match &arguments.refresh {
        Some(path) => read_refresh_families(path, &arguments.roles, now)?,
        None => StoreFiles::default(),
    };
    let refused: Vec<&RefusedRecord> = tokens.refused.iter().chain(&families.refused).collect();
    let outcome = runtime()?.block_on(take_over(
        arguments,
        layers,
        &tokens.records,
        &families.records,
        arguments.dry_run || !refused.is_empty(),
    ))?;
    let expired = [tokens.expired, families.expired];
    match arguments.format {
        Format::Text => print_text(arguments, &outcome, expired, &refused),
        Format::Json => println!("{:#}", import_json(arguments, &outcome, expired, &refused)),
    }
    let refused = !refused.is_empty() || !outcome.report.conflicts.is_empty();
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn take_over(
    arguments: &ImportArgs,
    layers: &Layers,
    tokens: &[ImportedBootstrap],
    families: &[ImportedFamily],
    only_try: bool,
) -> Result<Outcome, CliError> {
    let location = layers.store(&arguments.store)?;
    // Opening it would make it.
    if only_try && is_absent(&location) {
        return Ok(Outcome {
            report: ImportReport::into_empty(tokens, families),
            done: false,
        });
    }
    let store = Store::open(&location).await?;
    let outcome = import_into(&store, arguments, layers, tokens, families, only_try).await;
    store.close().await;
    outcome
}

async fn import_into(
    store: &Store,
    arguments: &ImportArgs,
    layers: &Layers,
    tokens: &[ImportedBootstrap],
    families: &[ImportedFamily],
    only_try: bool,
) -> Result<Outcome, CliError> {
    let report = store.import(tokens, families, true).await?;
    if only_try || !report.conflicts.is_empty() {
        return Ok(Outcome {
            report,
            done: false,
        });
    }
    if !report.changes() {
        return Ok(Outcome { report, done: true });
    }
    // Comes first: what cannot be audited is not done.
    if let Some(path) = layers.audit_log(&arguments.audit) {
        audit(&AuditLog::open(&path)?, arguments, &report)?;
    }
    let report = store.import(tokens, families, false).await?;
    let done = report.conflicts.is_empty();
    Ok(Outcome { report, done })
}

fn audit(log: &AuditLog, arguments: &ImportArgs, report: &ImportReport) -> Result<(), CliError> {
    let request = random::identifier().map_err(|error| CliError::Usage(error.to_string()))?;
    let mut about = Map::new();
    for (name, path, counts) in [
        (
            "bootstrap_tokens",
            &arguments.bootstrap,
            report.bootstrap_tokens,
        ),
        (
            "refresh_families",
            &arguments.refresh,
            report.refresh_families,
        ),
    ] {
        if let Some(path) = path {
            let mut told = counts_json(counts);
            told.insert("from".to_owned(), path.display().to_string().into());
            about.insert(name.to_owned(), told.into());
        }
    }
    log.append(
        &AuditRecord {
            event: AuditEvent::StoreImport,
            outcome: AuditOutcome::Done,
            code: "ok",
            subject: "",
            client: "local",
            request_id: &request,
            jti: None,
            kid: None,
            about: Some(&about),
        },
        true,
    )?;
    Ok(())
}

fn print_text(
    arguments: &ImportArgs,
    outcome: &Outcome,
    [tokens_expired, families_expired]: [u64; 2],
    refused: &[&RefusedRecord],
) {
    let report = &outcome.report;
    for (name, counts, expired) in [
        ("bootstrap tokens", report.bootstrap_tokens, tokens_expired),
        (
            "refresh families",
            report.refresh_families,
            families_expired,
        ),
    ] {
        println!(
            "{name}: {} imported, {} already there, {} there and closed now, {expired} expired and left out",
            counts.imported, counts.present, counts.closed,
        );
    }
    for record in refused {
        println!("refused: {record}");
    }
    for conflict in &report.conflicts {
        println!("refused: {conflict}");
    }
    if !refused.is_empty() {
        println!("nothing was changed: correct the refused files or move them away");
    } else if !report.conflicts.is_empty() {
        println!("nothing was changed");
    } else if arguments.dry_run {
        println!("nothing was changed: this is what `--dry-run` found");
    }
}

fn import_json(
    arguments: &ImportArgs,
    outcome: &Outcome,
    [tokens_expired, families_expired]: [u64; 2],
    refused: &[&RefusedRecord],
) -> Value {
    let report = &outcome.report;
    let counts = |counts: ImportCounts, expired: u64| {
        let mut told = counts_json(counts);
        told.insert("expired".to_owned(), expired.into());
        Value::from(told)
    };
    let files = refused.iter().map(|record| {
        json!({
            "file": record.file,
            "record": record.id,
            "code": record.fault.code(),
            "message": record.fault.to_string(),
        })
    });
    let conflicts = report
        .conflicts
        .iter()
        .map(|conflict| json!({"code": conflict.code(), "message": conflict.to_string()}));
    json!({
        "done": outcome.done,
        "dry_run": arguments.dry_run,
        "bootstrap_tokens": counts(report.bootstrap_tokens, tokens_expired),
        "refresh_families": counts(report.refresh_families, families_expired),
        "refused": files.chain(conflicts).collect::<Vec<_>>(),
    })
}

fn counts_json(counts: ImportCounts) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("imported".to_owned(), counts.imported.into());
    told.insert("present".to_owned(), counts.present.into());
    told.insert("closed".to_owned(), counts.closed.into());
    told
}

fn check(arguments: &CheckArgs, layers: &Layers) -> Result<ExitCode, CliError> {
    let location = layers.store(&arguments.store)?;
    let found = runtime()?.block_on(Store::check(&location))?;
    match arguments.format {
        Format::Text => print_check(&location, &found),
        Format::Json => {
            let rows: Map<String, Value> = found
                .rows
                .iter()
                .map(|(table, rows)| ((*table).to_owned(), (*rows).into()))
                .collect();
            let answer = json!({
                "store": location.to_string(),
                "version": found.version,
                "known_version": found.known,
                "rows": rows,
                "faults": found.faults,
            });
            println!("{answer:#}");
        }
    }
    Ok(if found.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_check(location: &StoreLocation, found: &StoreCheck) {
    println!("{location}: schema version {}", found.version);
    for (table, rows) in &found.rows {
        println!("{table}: {rows}");
    }
    for fault in &found.faults {
        println!("FAULT: {fault}");
    }
    if found.version < found.known {
        println!(
            "this program's schema version is {}: `tokensmith store migrate`, or start the service",
            found.known
        );
    }
}

fn migrate(arguments: &MigrateArgs, layers: &Layers) -> Result<ExitCode, CliError> {
    let location = layers.store(&arguments.store)?;
    let (before, after) = runtime()?.block_on(async {
        let before = if is_absent(&location) {
            0
        } else {
            Store::check(&location).await?.version
        };
        Store::open(&location).await?.close().await;
        Ok::<_, CliError>((before, Store::check(&location).await?.version))
    })?;
    println!("{location}: schema version {after}, was {before}");
    Ok(ExitCode::SUCCESS)
}

/// Whether there is no store yet. What another machine has is there.
fn is_absent(location: &StoreLocation) -> bool {
    matches!(location, StoreLocation::Sqlite(path) if !path.exists())
}

fn role(text: &str) -> Result<String, String> {
    let role = text.trim();
    if role.is_empty() || role.chars().any(char::is_control) {
        Err("a role is empty or has control characters".to_owned())
    } else {
        Ok(role.to_owned())
    }
}

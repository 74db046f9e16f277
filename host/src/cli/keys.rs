use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;

use super::CliError;
use super::serve::Layers;
use crate::clock::unix_now;
use crate::key_set::{Begin, KeyEntry, KeyFolder, KeyStatus};
use crate::signing_key::{KeyKind, RsaSize};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the keys and their states
    List(ListArgs),
    /// Make a key and publish it; it signs as soon as verifiers know it
    Rotate(RotateArgs),
    /// Retire a key: it no longer signs, and leaves the JWK set when no token of it is left
    Retire(RetireArgs),
    /// Publish a key of a PEM file, PKCS#8, PKCS#1 or SEC 1, which is copied
    Import(ImportArgs),
    /// Delete the files of the keys that are no longer in the JWK set
    Prune(FolderArgs),
}

#[derive(Debug, Args)]
pub(super) struct FolderArgs {
    /// Folder of the signing keys [default: ./data/keys]
    #[arg(long, env = "TOKENSMITH_KEY_DIR")]
    key_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// What the key signs with
    #[arg(long, value_enum, default_value_t = AlgorithmArg::Es256)]
    alg: AlgorithmArg,
    /// Size of an RSA key
    #[arg(long, value_enum, default_value_t = RsaBitsArg::Bits3072)]
    rsa_bits: RsaBitsArg,
    /// Sign with it at once: verifiers that keep the former JWK set refuse its tokens for a while
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    /// The key, as `keys list` shows it
    kid: String,
    /// Take it out of the JWK set too, for a key that others may have: its tokens end
    #[arg(long)]
    at_once: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The private key, PEM, readable by its owner only
    file: PathBuf,
    /// What the key signs with; an RSA key with RS256 unless `PS256` is given
    #[arg(long, value_enum)]
    alg: Option<AlgorithmArg>,
    /// Sign with it at once: verifiers that keep the former JWK set refuse its tokens for a while
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AlgorithmArg {
    /// ECDSA on P-256
    #[value(name = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5
    #[value(name = "RS256")]
    Rs256,
    /// RSASSA-PSS
    #[value(name = "PS256")]
    Ps256,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RsaBitsArg {
    /// 2048 bits
    #[value(name = "2048")]
    Bits2048,
    /// 3072 bits
    #[value(name = "3072")]
    Bits3072,
}

pub(super) fn run(command: KeysCommand, layers: &Layers) -> Result<ExitCode, CliError> {
    let now = unix_now();
    match command {
        KeysCommand::List(arguments) => list(&arguments, layers, now)?,
        KeysCommand::Rotate(arguments) => {
            let size = match arguments.rsa_bits {
                RsaBitsArg::Bits2048 => RsaSize::Bits2048,
                RsaBitsArg::Bits3072 => RsaSize::Bits3072,
            };
            let kind = match arguments.alg {
                AlgorithmArg::Es256 => KeyKind::Es256,
                AlgorithmArg::Rs256 => KeyKind::Rs256(size),
                AlgorithmArg::Ps256 => KeyKind::Ps256(size),
                AlgorithmArg::EdDsa => KeyKind::EdDsa,
            };
            let begin = begin(arguments.now);
            let entry = arguments.folder.open(layers).rotate(kind, now, begin)?;
            published(&entry, now);
        }
        KeysCommand::Retire(arguments) => {
            let folder = arguments.folder.open(layers);
            folder.retire(&arguments.kid, now, arguments.at_once)?;
            let set = folder.set()?;
            let statuses = set.statuses(now);
            for status in statuses.iter().filter(|at| at.entry.kid == arguments.kid) {
                println!("{}", line(status));
            }
        }
        KeysCommand::Import(arguments) => {
            let algorithm = arguments.alg.map(AlgorithmArg::algorithm);
            let begin = begin(arguments.now);
            let folder = arguments.folder.open(layers);
            let entry = folder.import(&arguments.file, algorithm, now, begin)?;
            published(&entry, now);
        }
        KeysCommand::Prune(arguments) => {
            for entry in arguments.open(layers).prune(now)? {
                println!("{}", entry.kid);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(arguments: &ListArgs, layers: &Layers, now: i64) -> Result<(), CliError> {
    let folder = arguments.folder.open(layers);
    let set = folder.set()?;
    let statuses = set.statuses(now);
    if arguments.json {
        let keys: Vec<Value> = statuses
            .iter()
            .map(|status| {
                json!({
                    "kid": status.entry.kid,
                    "alg": status.entry.alg.name(),
                    "state": status.state.name(),
                    "since": status.since,
                    "until": status.until,
                    "file": status.entry.file,
                })
            })
            .collect();
        println!("{:#}", json!({"keys": keys}));
    } else {
        for status in &statuses {
            println!("{}", line(status));
        }
    }
    for stray in folder.strays(&set)? {
        eprintln!("tokensmith: `{stray}` is not in the key manifest, and so not in use");
    }
    Ok(())
}

/// Thumbprint, algorithm, state, since, until.
fn line(status: &KeyStatus<'_>) -> String {
    format!(
        "{}  {:5}  {:9}  {:20}  {}",
        status.entry.kid,
        status.entry.alg.name(),
        status.state.name(),
        time(Some(status.since)),
        time(status.until),
    )
}

/// Tells what was done; the thumbprint alone on standard output.
fn published(entry: &KeyEntry, now: i64) {
    println!("{}", entry.kid);
    let from = time(Some(entry.signs_from));
    if entry.signs_from <= now {
        eprintln!(
            "tokensmith: warning: the key signs at once: verifiers that keep the former JWK set refuse its tokens until they fetch it again"
        );
    } else {
        eprintln!("tokensmith: published, signs from {from}");
    }
}

fn begin(at_once: bool) -> Begin {
    if at_once {
        Begin::AtOnce
    } else {
        Begin::WhenKnown
    }
}

/// RFC 3339; `-` for what is unknown or before all times.
fn time(seconds: Option<i64>) -> String {
    seconds
        .filter(|seconds| (1..=253_402_300_799).contains(seconds))
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds.unsigned_abs())))
        .map_or_else(
            || "-".to_owned(),
            |time| humantime::format_rfc3339_seconds(time).to_string(),
        )
}

impl FolderArgs {
    fn open(&self, layers: &Layers) -> KeyFolder {
        KeyFolder::new(layers.key_dir(self.key_dir.clone()))
    }
}

impl AlgorithmArg {
    fn algorithm(self) -> Algorithm {
        match self {
            AlgorithmArg::Es256 => Algorithm::ES256,
            AlgorithmArg::Rs256 => Algorithm::RS256,
            AlgorithmArg::Ps256 => Algorithm::PS256,
            AlgorithmArg::EdDsa => Algorithm::EdDSA,
        }
    }
}

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::policy::{
    BUNDLE_TYPE, Bundle, BundleLimits, BundleState, BundleVerifier, Source,
};
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;

use super::policy::PolicyArgs;
use super::{CliError, documents, whole_file};
use crate::clock::unix_now;
use crate::policy_files;
use crate::signing_key::SigningKey;

#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    /// Sign a policy: one file of model, rules, version, times and sequence
    Sign(Box<SignArgs>),
    /// Verify a bundle and say what is in it: exit code 0 when it is good, 1 when not
    Open(OpenArgs),
}

#[derive(Debug, Args)]
pub(super) struct SignArgs {
    #[command(flatten)]
    files: PolicyArgs,
    /// Private key, PEM; a key of the issuer
    #[arg(long)]
    key_file: PathBuf,
    /// `iss`: whose keys sign
    #[arg(long)]
    issuer: String,
    /// Number of this bundle, higher than that of every earlier one
    #[arg(long)]
    sequence: u64,
    /// Seconds until it is no longer accepted
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(i64).range(1..=31_622_400))]
    lifetime: i64,
    /// Time from which it is accepted, in seconds since the epoch
    #[arg(long)]
    not_before: Option<i64>,
    /// File to write; standard output by default
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    /// File or URL of the issuer's JWK set
    #[arg(long)]
    jwks: String,
    /// Expected `iss`
    #[arg(long)]
    issuer: String,
    /// File that remembers the last sequence: lower ones are refused
    #[arg(long)]
    state: Option<PathBuf>,
    /// Time to open it at, in seconds since the epoch; the clock's by default
    #[arg(long)]
    now: Option<i64>,
    /// The bundle's file
    bundle: PathBuf,
}

pub(super) fn run(command: BundleCommand) -> Result<ExitCode, CliError> {
    match command {
        BundleCommand::Sign(arguments) => sign(*arguments),
        BundleCommand::Open(arguments) => open(&arguments),
    }
}

fn sign(arguments: SignArgs) -> Result<ExitCode, CliError> {
    let key = SigningKey::open(&arguments.key_file)?;
    let texts = policy_files::read(&arguments.files.paths())
        .map_err(policy_files::PolicyLoadError::from)?;
    let rules: Vec<Source<'_>> = texts
        .rules
        .iter()
        .map(|(name, text)| Source { name, text })
        .collect();
    let now = unix_now();
    let bundle = Bundle {
        model: Source {
            name: &texts.model.0,
            text: &texts.model.1,
        },
        rules: &rules,
        issuer: &arguments.issuer,
        sequence: arguments.sequence,
        issued_at: now,
        not_before: arguments.not_before,
        expires: arguments
            .not_before
            .unwrap_or(now)
            .saturating_add(arguments.lifetime),
    };
    let signed = key
        .sign_as(BUNDLE_TYPE, &bundle.payload()?)
        .map_err(|error| CliError::Usage(error.to_string()))?;
    match &arguments.output {
        Some(path) => whole_file::write(path, signed.as_bytes())?,
        None => println!("{signed}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn open(arguments: &OpenArgs) -> Result<ExitCode, CliError> {
    let document = documents::jwks(&arguments.jwks)?;
    let set = JwkSet::parse(&document, &Limits::default()).map_err(|error| CliError::Jwks {
        name: arguments.jwks.clone(),
        error,
    })?;
    let keys = KeyRing::new([(arguments.issuer.as_str(), &set)], &AwsLc);
    let verifier = BundleVerifier {
        issuer: &arguments.issuer,
        keys: &keys,
        limits: BundleLimits::default(),
    };
    let name = arguments.bundle.display().to_string();
    let text = std::fs::read_to_string(&arguments.bundle).map_err(CliError::io(name))?;
    let state = match &arguments.state {
        Some(path) => remembered(path)?,
        None => BundleState::default(),
    };
    let now = arguments.now.unwrap_or_else(unix_now);
    match verifier.open(text.trim(), now, &state) {
        Ok((opened, state)) => {
            if let Some(path) = &arguments.state {
                whole_file::write(path, json!(state).to_string().as_bytes())?;
            }
            let about = json!({
                "valid": true,
                "policy_version": opened.policy.policy_version(),
                "rules": opened.policy.row_count(),
                "sequence": opened.sequence,
                "expires": opened.expires,
                "digest": opened.digest,
            });
            println!("{about:#}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let about = json!({"valid": false, "code": error.code(), "message": error.to_string()});
            println!("{about:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn remembered(path: &Path) -> Result<BundleState, CliError> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| CliError::Usage(format!("`{name}` is not a bundle's state: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BundleState::default()),
        Err(error) => Err(CliError::io(name)(error)),
    }
}

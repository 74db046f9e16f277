use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, verify_jws};

use super::{CliError, batch};

#[derive(Debug, Subcommand)]
pub(super) enum JwsCommand {
    /// Verify compact JWS against keys
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Read {"id", "jwks" or "jwk", "jws", "algs"} lines and answer {"id", "valid", "code"} lines
    #[arg(long, required = true)]
    batch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Value,
    jwks: Option<Value>,
    jwk: Option<Value>,
    jws: String,
    algs: Option<Vec<String>>,
}

pub(super) fn run(command: JwsCommand) -> Result<ExitCode, CliError> {
    let JwsCommand::Verify(VerifyArgs { batch: _ }) = command;
    batch::answer_lines(answer)?;
    Ok(ExitCode::SUCCESS)
}

fn answer(line: &[u8]) -> Value {
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => {
            return json!({"id": null, "valid": false, "code": "bad_request", "error": error.to_string()});
        }
    };
    match verify(&line) {
        Ok(()) => json!({"id": line.id, "valid": true, "code": "ok"}),
        Err(code) => json!({"id": line.id, "valid": false, "code": code}),
    }
}

fn verify(line: &Line) -> Result<(), &'static str> {
    let limits = Limits::default();
    let document = match (&line.jwks, &line.jwk) {
        (Some(set), None) => set.to_string(),
        (None, Some(key)) => json!({"keys": [key]}).to_string(),
        _ => return Err("bad_request"),
    };
    let set = JwkSet::parse(document.as_bytes(), &limits).map_err(|error| error.code())?;
    if let (Some(_), Some(rejected)) = (&line.jwk, set.rejected.first()) {
        return Err(rejected.error.code());
    }
    // An algorithm that is never accepted narrows the list to the others.
    let algorithms: Option<Vec<Algorithm>> = line.algs.as_ref().map(|names| {
        names
            .iter()
            .filter_map(|name| Algorithm::from_name(name).ok())
            .collect()
    });
    let ring = KeyRing::new([("", &set)], &AwsLc);
    if let (Some(_), Some(rejected)) = (&line.jwk, ring.rejected().next()) {
        return Err(rejected.error.code());
    }
    verify_jws(&line.jws, &ring, "", algorithms.as_deref(), &limits)
        .map(drop)
        .map_err(|error| error.code())
}

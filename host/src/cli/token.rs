use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tokensmith_engine::binding::{CertificateThumbprint, Presented};
use tokensmith_engine::claims::{
    AuthLevel, ClaimRules, DEFAULT_LEEWAY, MAX_LEEWAY, Profile, Requirements,
};
use tokensmith_engine::jose::{JwkSet, Jws, Limits};
use tokensmith_engine::principal::{Principal, PrincipalMapping};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verdict, Verifier};

use super::{CliError, documents};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Verify a token: exit code 0 when valid, 1 when not, 2 for wrong usage
    Verify(VerifyArgs),
    /// Show a token's header and claims without verifying anything
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// File or URL of the issuer's JWK set
    #[arg(long)]
    jwks: String,
    /// Expected `iss`
    #[arg(long)]
    issuer: String,
    /// Expected `aud`; may be given several times
    #[arg(long, required = true)]
    audience: Vec<String>,
    /// Time to verify at, in seconds since the epoch; the clock's by default
    #[arg(long, allow_negative_numbers = true)]
    now: Option<i64>,
    /// Claims that are required
    #[arg(long, value_enum, default_value_t = ProfileArg::Tokensmith)]
    profile: ProfileArg,
    /// Leeway in seconds
    #[arg(long, default_value_t = DEFAULT_LEEWAY, value_parser = clap::value_parser!(i64).range(0..=MAX_LEEWAY))]
    leeway: i64,
    /// The least `auth_level`, such as `IAL2`
    #[arg(long, value_parser = AuthLevel::parse)]
    min_auth_level: Option<AuthLevel>,
    /// The least `auth_factors`
    #[arg(long)]
    min_factors: Option<u32>,
    /// The longest time between `iat` and `exp`, in seconds
    #[arg(long)]
    max_lifetime: Option<u32>,
    /// A claim that has to be there; may be given several times
    #[arg(long)]
    require: Vec<String>,
    /// The client certificate (PEM or DER) that comes with the token, for one that is bound to it
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Refuse tokens that are not bound to their sender
    #[arg(long)]
    sender_constrained: bool,
    /// The token, or `-` for standard input
    token: String,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The token, or `-` for standard input
    token: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArg {
    Tokensmith,
    Generic,
}

pub(super) fn run(command: TokenCommand) -> Result<ExitCode, CliError> {
    match command {
        TokenCommand::Verify(arguments) => verify(&arguments),
        TokenCommand::Inspect(arguments) => inspect(&arguments),
    }
}

fn verify(arguments: &VerifyArgs) -> Result<ExitCode, CliError> {
    let limits = Limits::default();
    let document = documents::jwks(&arguments.jwks)?;
    let set = JwkSet::parse(&document, &limits).map_err(|error| CliError::Jwks {
        name: arguments.jwks.clone(),
        error,
    })?;
    let ring = KeyRing::new([(arguments.issuer.as_str(), &set)], &AwsLc);
    let rules = ClaimRules {
        issuer: arguments.issuer.clone(),
        audiences: arguments.audience.clone(),
        profile: match arguments.profile {
            ProfileArg::Tokensmith => Profile::TokenSmith,
            ProfileArg::Generic => Profile::Generic,
        },
        leeway: arguments.leeway,
        requirements: Requirements {
            min_auth_level: arguments.min_auth_level.clone(),
            min_factors: arguments.min_factors,
            max_lifetime_s: arguments.max_lifetime,
            sender_constrained: arguments.sender_constrained,
            claims: arguments.require.clone(),
        },
        principal: PrincipalMapping::default(),
    };
    let token = token_text(&arguments.token)?;
    let now = arguments.now.map_or_else(clock, Ok)?;
    let presented = Presented {
        certificate: arguments
            .certificate
            .as_deref()
            .map(certificate)
            .transpose()?,
        ..Presented::default()
    };
    let verifier = Verifier::new([rules], limits);
    let verified = verifier.begin(&token, &ring, now).and_then(|job| {
        let verdict = job.check().unwrap_or(Verdict::Invalid);
        job.finish_presented(verdict, &presented)
    });
    match verified {
        Ok(verified) => {
            let principal = Principal::from_verified(&verified);
            print(&json!({
                "valid": true,
                "alg": verified.header().algorithm.name(),
                "kid": verified.header().kid,
                "principal": {
                    "id": principal.id(),
                    "type": principal.principal_type().name(),
                    "roles": principal.roles().collect::<Vec<_>>(),
                    "scopes": principal.scopes().collect::<Vec<_>>(),
                },
                "claims": verified.claims().all(),
            }));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            print(&json!({"valid": false, "code": error.code(), "message": error.to_string()}));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn certificate(path: &Path) -> Result<CertificateThumbprint, CliError> {
    let bytes = std::fs::read(path).map_err(|error| {
        CliError::Usage(format!(
            "cannot read certificate `{}`: {error}",
            path.display()
        ))
    })?;
    let der = match pem::parse(&bytes) {
        Ok(document) if document.tag() == "CERTIFICATE" => document.into_contents(),
        Ok(document) => {
            return Err(CliError::Usage(format!(
                "`{}` is a `{}`, not a `CERTIFICATE`",
                path.display(),
                document.tag()
            )));
        }
        Err(_) => bytes,
    };
    Ok(CertificateThumbprint::of_der(&der))
}

fn inspect(arguments: &InspectArgs) -> Result<ExitCode, CliError> {
    match Jws::inspect(&token_text(&arguments.token)?, &Limits::default()) {
        Ok(inspected) => {
            print(&json!({
                "verified": false,
                "header": inspected.header,
                "claims": inspected.payload,
            }));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            print(&json!({"verified": false, "code": error.code(), "message": error.to_string()}));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn token_text(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    // More than any token may have, so that the limit is the engine's to report.
    std::io::stdin()
        .take(1024 * 1024)
        .read_to_string(&mut text)
        .map_err(CliError::io("standard input"))?;
    Ok(text.trim().to_owned())
}

fn clock() -> Result<i64, CliError> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .ok_or_else(|| CliError::Usage("the clock is before 1970: give `--now`".to_owned()))
}

fn print(value: &serde_json::Value) {
    println!("{value:#}");
}

//! Commands and their exit codes: 0 for yes, 1 for no or failed, 2 for wrong usage.

mod audit;
mod batch;
mod bootstrap_token;
mod documents;
mod error;
mod jws;
mod keys;
mod policy;
mod policy_bundle;
mod serve;
mod token;
mod user_token;
mod whole_file;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config_file::ConfigFile;

pub use error::CliError;

/// Bridges OIDC identity to signed tokens, and decides who may do what.
#[derive(Debug, Parser)]
#[command(name = "tokensmith", version)]
struct Cli {
    /// Configuration file, JSON
    #[arg(long, global = true, env = "TOKENSMITH_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the token service
    Serve(Box<serve::ServeArgs>),
    /// Make bootstrap tokens for services
    #[command(subcommand)]
    BootstrapToken(bootstrap_token::BootstrapTokenCommand),
    /// Show, rotate, retire and import signing keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make a user's token in an emergency
    #[command(subcommand)]
    UserToken(user_token::UserTokenCommand),
    /// Be ready for an emergency
    #[command(subcommand, name = "breakglass")]
    BreakGlass(user_token::BreakGlassCommand),
    /// Print a configuration file with the default values
    GenerateConfig,
    /// Verify or inspect a token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Evaluate or check a Casbin policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check an audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Verify signatures
    #[command(subcommand)]
    Jws(jws::JwsCommand),
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(arguments) => serve::run(*arguments, cli.config),
        Command::BootstrapToken(command) => bootstrap_token::run(command),
        Command::Keys(command) => keys::run(command),
        Command::UserToken(command) => user_token::run(command),
        Command::BreakGlass(command) => user_token::run_break_glass(command),
        Command::GenerateConfig => generate_config(),
        Command::Token(command) => token::run(command),
        Command::Audit(command) => audit::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Jws(command) => jws::run(command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tokensmith: {error}");
            error.exit_code()
        }
    }
}

fn generate_config() -> Result<ExitCode, CliError> {
    let text = serde_json::to_string_pretty(&ConfigFile::default())
        .map_err(|error| CliError::Usage(error.to_string()))?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Where asynchronous work runs.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new().map_err(CliError::io("the asynchronous runtime"))
}

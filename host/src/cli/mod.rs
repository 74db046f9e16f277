//! Commands and their exit codes: 0 for yes, 1 for no or failed, 2 for wrong usage.

mod batch;
mod error;
mod jws;
mod policy;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

/// Bridges OIDC identity to signed tokens, and decides who may do what.
#[derive(Debug, Parser)]
#[command(name = "tokensmith", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify or inspect a token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Evaluate or check a Casbin policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Verify signatures
    #[command(subcommand)]
    Jws(jws::JwsCommand),
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Token(command) => token::run(command),
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

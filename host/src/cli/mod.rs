//! Commands and their exit codes: 0 for yes, 1 for no or failed, 2 for wrong usage.

mod audit;
mod batch;
mod bootstrap_token;
mod completion;
mod config;
mod documents;
mod error;
mod jws;
mod keys;
mod oidc;
mod plugin;
mod policy;
mod policy_bundle;
mod serve;
mod standard_output;
mod store;
mod token;
mod user_token;
mod whole_file;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use serve::Layers;

pub use error::CliError;

/// Bridges OIDC identity to signed tokens, and decides who may do what.
#[derive(Debug, Parser)]
#[command(name = "tokensmith", version)]
struct Cli {
    /// Configuration file: TOML if its name ends in `.toml`, else JSON
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
    /// Look after the store, and fill it from that of the Go release
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Look at, or change, the OpenID provider of a running service
    #[command(subcommand)]
    Oidc(oidc::OidcCommand),
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
    GenerateConfig(config::GenerateArgs),
    /// Check or show the configuration of the service
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Verify or inspect a token
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Evaluate or check a Casbin policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check or try a plugin
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Check an audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Verify signatures
    #[command(subcommand)]
    Jws(jws::JwsCommand),
    /// Print a script that makes a shell complete commands and flags
    Completion(completion::CompletionArgs),
    /// Write the manual pages, in roff
    Man(completion::ManArgs),
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.format(&mut Cli::command()).exit(),
    };
    match run(cli.command, &matches, cli.config.as_deref()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tokensmith: {error}");
            error.exit_code()
        }
    }
}

fn run(
    command: Command,
    matches: &ArgMatches,
    config: Option<&Path>,
) -> Result<ExitCode, CliError> {
    // Read by the commands that have settings of it, so that it stands in no other's way.
    let layers = || Layers::read(matches, config);
    match command {
        Command::Serve(arguments) => serve::run(*arguments, &layers()?),
        Command::BootstrapToken(command) => bootstrap_token::run(command, &layers()?),
        Command::Store(command) => store::run(command, &layers()?),
        Command::Oidc(command) => oidc::run(command),
        Command::Keys(command) => keys::run(command, &layers()?),
        Command::UserToken(command) => user_token::run(command, &layers()?),
        Command::BreakGlass(command) => user_token::run_break_glass(command, &layers()?),
        Command::GenerateConfig(arguments) => {
            let written_to = match matches.value_source("config") {
                Some(ValueSource::CommandLine) => config,
                _ => None,
            };
            config::generate(&arguments, written_to)
        }
        Command::Config(command) => config::run(command, layers(), config),
        Command::Token(command) => token::run(command),
        Command::Plugin(command) => plugin::run(command, &layers()?),
        Command::Audit(command) => audit::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Jws(command) => jws::run(command),
        Command::Completion(arguments) => completion::completion(&arguments),
        Command::Man(arguments) => completion::man(&arguments),
    }
}

/// Where asynchronous work runs.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new().map_err(CliError::io("the asynchronous runtime"))
}

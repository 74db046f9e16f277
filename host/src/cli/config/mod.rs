mod check;
mod show;
mod template;
mod toml_line;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::CliError;
use super::serve::{Layers, ServeArgs};
use crate::config_file::{ConfigFile, ConfigFileError};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Look whether `serve` would start with these flags, this environment and this file; opens
    /// no port and makes no file: exit code 0 when it would, 1 when not, with a line for each
    /// problem
    Check(Box<ServeArgs>),
    /// Print the settings that `serve` would use, and where each comes from
    Show(Box<ShowArgs>),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// JSON with what groups grant, or TOML with every setting
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A configuration file as it is recommended
    Toml,
    /// A JSON object
    Json,
}

pub(super) fn run(
    command: ConfigCommand,
    layers: Result<Layers, ConfigFileError>,
    config: Option<&Path>,
) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Check(arguments) => Ok(check::run(*arguments, layers)),
        ConfigCommand::Show(arguments) => show(*arguments, &layers?, config),
    }
}

pub(super) fn generate(arguments: &GenerateArgs) -> Result<ExitCode, CliError> {
    match arguments.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&ConfigFile::with_default_grants())
                .map_err(|error| CliError::Usage(error.to_string()))?;
            println!("{text}");
        }
        Format::Toml => print!("{}", template::text()),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: ShowArgs, layers: &Layers, config: Option<&Path>) -> Result<ExitCode, CliError> {
    let resolved = arguments.serve.resolve(layers);
    for problem in &resolved.problems {
        eprintln!("tokensmith: {problem}");
    }
    let shown = show::Shown::new(resolved.settings);
    match arguments.format {
        Format::Toml => print!("{}", shown.toml(config)),
        Format::Json => println!("{:#}", shown.json()),
    }
    Ok(ExitCode::SUCCESS)
}

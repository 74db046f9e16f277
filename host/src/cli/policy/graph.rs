use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::LoadArgs;
use super::table::print;
use crate::cli::{CliError, whole_file};

#[derive(Debug, Args)]
pub(in crate::cli) struct GraphArgs {
    #[command(flatten)]
    files: LoadArgs,
    /// What to make
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// Draw only what this subject has
    #[arg(long)]
    subject: Option<String>,
    /// File to write; standard output by default
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make JSON, nodes and edges
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A Mermaid flow chart, for Markdown
    Mermaid,
    /// An SVG document
    Svg,
}

pub(super) fn run(arguments: GraphArgs) -> Result<ExitCode, CliError> {
    let policy = arguments.files.compile()?;
    let picture = match &arguments.subject {
        Some(subject) => policy.role_picture_of(subject)?,
        None => policy.role_picture()?,
    };
    let text = match arguments.format {
        _ if arguments.json => {
            let text = serde_json::to_string_pretty(&picture);
            text.map_err(|error| CliError::Usage(error.to_string()))? + "\n"
        }
        Format::Mermaid => picture.to_mermaid(),
        Format::Svg => picture.to_svg(),
    };
    match &arguments.output {
        Some(path) => whole_file::write(path, text.as_bytes())?,
        None => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

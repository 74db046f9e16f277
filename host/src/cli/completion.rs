use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, CliError, whole_file};

#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder to write a page for each command into, made where it is missing; all pages are
    /// printed without
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints what makes a shell complete commands and flags.
pub(super) fn completion(arguments: &CompletionArgs) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "tokensmith",
        &mut script,
    );
    print(&script)
}

/// Writes the manual in roff.
pub(super) fn man(arguments: &ManArgs) -> Result<ExitCode, CliError> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, &mut pages).map_err(CliError::io("manual"))?;
    let Some(folder) = &arguments.output else {
        let all: Vec<u8> = pages.into_iter().flat_map(|(_, page)| page).collect();
        return print(&all);
    };
    std::fs::create_dir_all(folder).map_err(CliError::io(folder.display().to_string()))?;
    for (name, page) in pages {
        whole_file::write(&folder.join(name), &page)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of a command, after it those of the commands below it, each with its file's name.
fn add_pages(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    for below in command.get_subcommands().filter(|own| !own.is_hide_set()) {
        add_pages(below, pages)?;
    }
    Ok(())
}

fn print(text: &[u8]) -> Result<ExitCode, CliError> {
    let mut output = std::io::stdout();
    output
        .write_all(text)
        .and_then(|()| output.flush())
        .map_err(CliError::io("standard output"))?;
    Ok(ExitCode::SUCCESS)
}

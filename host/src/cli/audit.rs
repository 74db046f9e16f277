use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use crate::audit;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check that no line of an audit log was altered, taken out or put in: exit code 0 when it
    /// is whole, 1 when not, 2 for wrong usage
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The audit log
    file: PathBuf,
    /// Digest that one of the lines has to have, such as the head that an earlier check printed
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    head: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: AuditCommand) -> Result<ExitCode, CliError> {
    let AuditCommand::Verify(arguments) = command;
    let file = File::open(&arguments.file).map_err(|error| {
        let path = arguments.file.display();
        CliError::Usage(format!("cannot read audit log `{path}`: {error}"))
    })?;
    let verified = audit::verify(BufReader::new(file), arguments.head.as_deref());
    match verified {
        Ok(chain) => {
            if arguments.json {
                let answer = json!({"valid": true, "lines": chain.lines, "head": chain.head});
                println!("{answer:#}");
            } else {
                println!("whole: {} lines, head {}", chain.lines, chain.head);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            if arguments.json {
                let answer = json!({
                    "valid": false,
                    "line": fault.line(),
                    "code": fault.code(),
                    "message": fault.to_string(),
                });
                println!("{answer:#}");
            } else {
                println!("broken: {fault}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn digest(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 64 hexadecimal digits".to_owned())
    }
}

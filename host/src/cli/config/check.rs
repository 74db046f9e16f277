use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use tokensmith_engine::decide::Config;

use crate::cli::serve::{Layers, ServeArgs};
use crate::clock::unix_now;
use crate::config_file::ConfigFileError;
use crate::key_set::{KeyFolder, KeySetError};
use crate::listener::check_tls;
use crate::oidc::OidcProvider;
use crate::plugins::Plugins;
use crate::policy_files::PolicyPaths;
use crate::service::Settings;
use crate::signing_key::SigningKey;

/// More bytes than this the configuration of external authorization does not have.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Prints `ok`, or a line for each problem.
pub(super) fn run(arguments: ServeArgs, layers: Result<Layers, ConfigFileError>) -> ExitCode {
    let problems = match layers {
        Ok(layers) => {
            let resolved = arguments.resolve(&layers);
            let mut problems = resolved.problems;
            problems.extend(problems_of(&resolved.settings));
            problems
        }
        // What the file says is not known, so nothing else can be told.
        Err(error) => vec![error.to_string()],
    };
    if problems.is_empty() {
        println!("ok");
        return ExitCode::SUCCESS;
    }
    for problem in problems {
        let lines: Vec<&str> = problem.lines().map(str::trim).collect();
        println!("{}", lines.join(" "));
    }
    ExitCode::FAILURE
}

/// What is wrong with the files and addresses that the settings name. Opens no port and makes no
/// file.
fn problems_of(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |problem: Result<(), String>| problems.extend(problem.err());
    if let Some(folder) = &settings.policy_dir {
        note(policy(folder));
    }
    note(
        Plugins::load(&settings.config.plugins)
            .map(drop)
            .map_err(|error| error.to_string()),
    );
    note(settings.check_clients().map_err(|error| error.to_string()));
    note(match &settings.key_file {
        Some(path) => SigningKey::open(path)
            .map(drop)
            .map_err(|error| error.to_string()),
        None => keys(&settings.key_dir).map_err(|error| error.to_string()),
    });
    if let Some(files) = &settings.tls {
        note(
            check_tls(&files.cert, &files.key, files.client_ca.as_deref())
                .map_err(|error| error.to_string()),
        );
    }
    if let Some(client) = &settings.oidc {
        note(
            OidcProvider::new(client.clone(), settings.oidc_options.clone())
                .map(drop)
                .map_err(|error| error.to_string()),
        );
    }
    if let Some(path) = &settings.audit_log {
        note(audit_log(path));
    }
    if let Some(place) = &settings.ext_authz {
        note(ext_authz(&place.config));
    }
    problems
}

fn policy(folder: &Path) -> Result<(), String> {
    PolicyPaths::in_folder(folder)
        .and_then(|paths| paths.compile())
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A folder without keys is good: one is made at the start.
fn keys(path: &Path) -> Result<(), KeySetError> {
    if !path.exists() {
        return Ok(());
    }
    let folder = KeyFolder::new(path);
    let now = unix_now();
    let loaded = folder.load(now, None)?;
    if !loaded.set.keys.is_empty() && loaded.signing(now).is_none() {
        return Err(folder.no_signer());
    }
    Ok(())
}

/// A log that is not there is good if it can be made.
fn audit_log(path: &Path) -> Result<(), String> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shown = path.display();
    if path.is_dir() {
        Err(format!("audit log `{shown}` is a folder"))
    } else if folder.is_dir() {
        Ok(())
    } else {
        Err(format!("the folder of audit log `{shown}` is not there"))
    }
}

fn ext_authz(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let read = || {
        let mut text = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    match Config::from_json(&text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

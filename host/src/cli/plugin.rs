use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::with_scopes_within;
use tokensmith_engine::jose::Limits;

use super::CliError;
use super::serve::Layers;
use super::standard_output::print;
use crate::plugins::{Export, Plugin, PluginError, ScopeQuestion};

/// Claims of more bytes than this no provider sends.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Load a plugin and say whether it is good, and what it is good for
    Check(CheckArgs),
    /// Call a plugin as the service would, and print what it makes of the claims
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The component
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The component
    file: PathBuf,
    /// File of claims, JSON: those of a provider's token for `map-claims`, those of the token to
    /// be issued for `limit-scopes`
    #[arg(long, value_name = "FILE")]
    claims: PathBuf,
    /// Call `limit-scopes` with the token that the claims make, and not `map-claims`
    #[arg(long)]
    scopes: bool,
}

pub(super) fn run(command: PluginCommand, layers: &Layers) -> Result<ExitCode, CliError> {
    let limits = layers.file().plugins.limits()?;
    match command {
        PluginCommand::Check(arguments) => {
            let plugin = Plugin::load(&arguments.file, limits)?;
            let exports: Vec<&str> = plugin.exports().into_iter().map(Export::name).collect();
            let answer = json!({"ok": true, "exports": exports, "sha256": plugin.digest()});
            print(&format!("{answer:#}\n"))?;
        }
        PluginCommand::Run(arguments) => {
            let claims = claims(&arguments.claims)?;
            let plugin = Plugin::load(&arguments.file, limits)?;
            let answer = if arguments.scopes {
                limited(&plugin, &claims)?
            } else {
                mapped(&plugin, &claims)?
            };
            print(&format!("{answer:#}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn mapped(plugin: &Plugin, claims: &Claims) -> Result<Value, PluginError> {
    let user = plugin.map_claims(claims)?;
    Ok(json!({"claims": user.claims.all(), "groups": user.groups, "roles": user.roles}))
}

fn limited(plugin: &Plugin, claims: &Claims) -> Result<Value, PluginError> {
    let audience: Vec<String> = claims.audiences().map(str::to_owned).collect();
    let scopes: Vec<String> = claims.scopes().map(str::to_owned).collect();
    let answered = plugin.limit_scopes(&ScopeQuestion {
        subject: claims.sub().unwrap_or_default(),
        audience: &audience,
        scopes: &scopes,
        claims: claims.payload(),
    })?;
    let token: Map<String, Value> = [("scope".to_owned(), Value::from(scopes))]
        .into_iter()
        .collect();
    let left = with_scopes_within(token, &answered);
    Ok(json!({"answered": answered, "granted": left.get("scope").unwrap_or(&json!([]))}))
}

fn claims(path: &Path) -> Result<Claims, CliError> {
    let name = path.display();
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(CliError::io(name.to_string()))?;
    Claims::parse(text, &Limits::default())
        .map_err(|error| CliError::Usage(format!("`{name}`: {error}")))
}

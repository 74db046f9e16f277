use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use thiserror::Error;

use super::{CliError, runtime};
use crate::oidc::http_get::root_cause;

/// The provider may take its time to be asked for its keys.
const TIMEOUT: Duration = Duration::from_secs(30);
const PATH: &str = "/admin/oidc/config";
/// No answer of the admin listener is larger.
const MAX_BODY: usize = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum OidcCommand {
    /// Show which provider a running service has
    Status(AdminArgs),
    /// Give a running service a provider: exit code 0 when it has it, 1 when it was refused
    Configure(ConfigureArgs),
}

#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// Where the service's admin listener is: a URL, or `unix:PATH`
    #[arg(
        long,
        env = "TOKENSMITH_ADMIN_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
}

#[derive(Debug, Args)]
pub(super) struct ConfigureArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// The provider's issuer, exactly as in its tokens
    #[arg(long)]
    issuer_url: String,
    /// Client the tokens are issued to
    #[arg(long)]
    client_id: String,
    /// Put it in the place of the provider that is configured
    #[arg(long)]
    replace_existing: bool,
    /// Ask the provider for its keys and say what would be done; change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why the admin listener did not do what it was asked for.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The address is none.
    #[error("`--url` `{0}` is neither an http URL nor `unix:PATH`")]
    Address(String),
    /// Nothing answers there.
    #[error(
        "no admin listener answers at `{url}`: {reason}; start `serve` with `--admin-listen`, and \
         give its address with `--url`"
    )]
    Unreachable {
        /// As given.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A service answers, and it is not its admin listener.
    #[error(
        "`{0}` is not an admin listener: start `serve` with `--admin-listen`, and give its address \
         with `--url`"
    )]
    NotAdmin(String),
    /// It was refused.
    #[error("{status}: {description} ({code})")]
    Refused {
        /// The status code.
        status: u16,
        /// What the service says.
        description: String,
        /// Its code.
        code: String,
    },
}

/// Where a request goes.
struct Target {
    client: reqwest::Client,
    url: String,
    name: String,
}

pub(super) fn run(command: OidcCommand) -> Result<ExitCode, CliError> {
    let answer = runtime()?.block_on(async {
        match command {
            OidcCommand::Status(admin) => {
                let target = Target::new(&admin.url)?;
                target.ask(target.client.get(&target.url)).await
            }
            OidcCommand::Configure(arguments) => {
                let body = json!({
                    "issuer_url": arguments.issuer_url,
                    "client_id": arguments.client_id,
                    "replace_existing": arguments.replace_existing,
                    "dry_run": arguments.dry_run,
                });
                let target = Target::new(&arguments.admin.url)?;
                let request = target
                    .client
                    .post(&target.url)
                    .header("content-type", "application/json")
                    .body(body.to_string());
                target.ask(request).await
            }
        }
    })?;
    println!("{answer:#}");
    Ok(ExitCode::SUCCESS)
}

impl Target {
    fn new(address: &str) -> Result<Self, AdminError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // It is on this machine or in its own network; what is asked is for nobody between.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let (client, base) = match address.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => {
                (client.unix_socket(path), "http://localhost".to_owned())
            }
            Some(_) => return Err(AdminError::Address(address.to_owned())),
            None => {
                let url = reqwest::Url::parse(address)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
                    .ok_or_else(|| AdminError::Address(address.to_owned()))?;
                (client, url.as_str().trim_end_matches('/').to_owned())
            }
        };
        let client = client.build().map_err(|error| AdminError::Unreachable {
            url: address.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            client,
            url: format!("{base}{PATH}"),
            name: address.to_owned(),
        })
    }

    /// The answer, when it is a good one.
    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, AdminError> {
        let unreachable = |error: reqwest::Error| AdminError::Unreachable {
            url: self.name.clone(),
            reason: root_cause(&error),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(AdminError::NotAdmin(self.name.clone()));
            }
            body.extend_from_slice(&chunk);
        }
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            return Err(AdminError::NotAdmin(self.name.clone()));
        };
        let text = |name: &str| {
            let value = answer.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        match status {
            200 if answer.get("oidc").is_some() => Ok(answer),
            200 | 404 => Err(AdminError::NotAdmin(self.name.clone())),
            status => Err(AdminError::Refused {
                status,
                description: text("error_description"),
                code: text("code"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, url) in [
            (
                "http://127.0.0.1:8080",
                Some("http://127.0.0.1:8080/admin/oidc/config"),
            ),
            ("http://[::1]:9/", Some("http://[::1]:9/admin/oidc/config")),
            (
                "unix:/run/t.sock",
                Some("http://localhost/admin/oidc/config"),
            ),
            ("unix:", None),
            ("127.0.0.1:8080", None),
            ("ftp://127.0.0.1", None),
            ("", None),
        ] {
            let target = Target::new(address).ok();
            assert_eq!(target.map(|own| own.url).as_deref(), url, "{address}");
        }
    }
}

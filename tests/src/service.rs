//! The real `tokensmith` binary: a running service, and commands.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Response};
use crate::process::Process;
use crate::tool;

/// The grant type of a bootstrap token's exchange.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of a bootstrap token.
pub const BOOTSTRAP_TOKEN: &str = "urn:openchami:params:oauth:token-type:bootstrap-token";

/// A running service; its keys and store go with it unless the folder is the caller's.
#[derive(Debug)]
pub struct Service {
    /// Its port.
    pub port: u16,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Its folder.
    pub folder: PathBuf,
    process: Process,
}

impl Service {
    /// Starts a service on `folder` with more arguments for `serve`.
    ///
    /// # Errors
    /// What it wrote to standard error when it does not come up.
    pub fn start(folder: &Path, arguments: &[&str]) -> Result<Self, String> {
        Self::start_with_environment(folder, arguments, &[])
    }

    /// As [`Service::start`], with variables of the environment.
    ///
    /// # Errors
    /// What it wrote to standard error when it does not come up.
    pub fn start_with_environment(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        Self::launch(folder, 0, arguments, environment)
    }

    /// As [`Service::start`], on a port that another service may have had before.
    ///
    /// # Errors
    /// What it wrote to standard error when it does not come up.
    pub fn start_at(folder: &Path, port: u16, arguments: &[&str]) -> Result<Self, String> {
        Self::launch(folder, port, arguments, &[])
    }

    fn launch(
        folder: &Path,
        port: u16,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let issuer = "http://tokensmith.test";
        let mut command = tokensmith(folder);
        command
            .args(["serve", "--issuer", issuer, "--listen-address", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .args(arguments)
            .envs(environment.iter().copied());
        let process = Process::start(command)?;
        let (_, port) = process.first_line.rsplit_once(':').unwrap();
        Ok(Self {
            port: port.parse().unwrap(),
            issuer: issuer.to_owned(),
            folder: folder.to_owned(),
            process,
        })
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.process.hang_up();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for its end: the exit code, none if it was killed.
    pub fn ended(&mut self, within: Duration) -> Option<i32> {
        self.process.ended(within)
    }

    /// GET.
    ///
    /// # Panics
    /// When nothing answers.
    pub fn get(&self, target: &str) -> Response {
        http::request(self.port, "GET", target, &[]).unwrap()
    }

    /// Exchanges an identity token; `body` is JSON or empty.
    ///
    /// # Panics
    /// When nothing answers.
    pub fn exchange(&self, id_token: &str, body: &str) -> Response {
        let authorization = format!("Bearer {id_token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        http::send(self.port, "POST", "/oauth/exchange", &headers, body).unwrap()
    }

    /// Posts a form.
    ///
    /// # Panics
    /// When nothing answers.
    pub fn form(&self, target: &str, parameters: &[(&str, &str)]) -> Response {
        // The values of these tests have no character that a form would escape but `:`.
        let body = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")))
            .collect::<Vec<_>>()
            .join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        http::send(self.port, "POST", target, &headers, &body).unwrap()
    }

    /// Redeems a bootstrap token.
    pub fn redeem(&self, bootstrap_token: &str) -> Response {
        self.form(
            "/oauth/token",
            &[
                ("grant_type", TOKEN_EXCHANGE),
                ("subject_token_type", BOOTSTRAP_TOKEN),
                ("subject_token", bootstrap_token),
            ],
        )
    }

    /// Uses a refresh token.
    pub fn refresh(&self, refresh_token: &str) -> Response {
        self.form(
            "/token",
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token),
            ],
        )
    }

    /// Makes a bootstrap token with the command line.
    ///
    /// # Panics
    /// When the command fails.
    pub fn bootstrap_token(&self, arguments: &[&str]) -> String {
        let output = run(tokensmith(&self.folder)
            .args(["bootstrap-token", "create"])
            .args(arguments));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Verifies a token with the command line and the JWK set that the service publishes.
    pub fn verify(&self, audience: &str, token: &str) -> (Option<i32>, Value) {
        let jwks = format!("http://127.0.0.1:{}/.well-known/jwks.json", self.port);
        let output = run(tokensmith(&self.folder)
            .args(["token", "verify", "--jwks", &jwks])
            .args(["--issuer", &self.issuer, "--audience", audience, token]));
        let answer = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no JSON: {output:?}"));
        (output.status.code(), answer)
    }
}

/// The binary, run in `folder` and with no settings from the environment.
pub fn tokensmith(folder: &Path) -> Command {
    let mut command = Command::new(tool("TOKENSMITH_BIN"));
    command.current_dir(folder);
    for (name, _) in std::env::vars() {
        if name.starts_with("TOKENSMITH_")
            || name.starts_with("AUTHZ_")
            || name.starts_with("OIDC_")
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

//! A real OpenID provider, and users who sign in at it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process::Process;

/// A running provider with the accounts alice (admin), bob (viewer) and carol (operator).
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer.
    pub issuer: String,
    /// The client that users sign in to.
    pub client_id: String,
    redirect_uri: String,
    _process: Process,
}

impl OidcProvider {
    /// Starts a provider whose ID tokens last an hour.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a provider with more options of `server.mjs`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(options: &[&str]) -> Self {
        let mut command = node("server.mjs");
        command.args(options);
        let process = Process::start(command).unwrap_or_else(|error| panic!("{error}"));
        let ready: Value = serde_json::from_str(&process.first_line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            issuer: text("issuer"),
            client_id: text("client_id"),
            redirect_uri: text("redirect_uri"),
            _process: process,
        }
    }

    /// Signs a user in by the authorization code flow and returns the ID token.
    ///
    /// # Panics
    /// When the flow does not end with tokens.
    pub fn login(&self, user: &str) -> String {
        let output = node("login.mjs")
            .args([&self.issuer, &self.client_id, &self.redirect_uri])
            .args([user, &format!("{user}-password")])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let tokens: Value = serde_json::from_slice(&output.stdout).unwrap();
        tokens["id_token"].as_str().unwrap().to_owned()
    }
}

fn node(program: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("oidc-provider");
    assert!(
        folder.join("node_modules").exists(),
        "the provider's packages are missing: run the tests with `cargo xtask test`"
    );
    let mut command = Command::new("node");
    command.arg(folder.join(program));
    command
}

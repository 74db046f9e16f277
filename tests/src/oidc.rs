//! A real OpenID provider, and users who sign in at it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tokensmith_engine::jose::encode_base64url;

use crate::http;
use crate::process::Process;

/// A running provider with the accounts alice (admin), bob (viewer) and carol (operator).
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer.
    pub issuer: String,
    /// The client that users sign in to.
    pub client_id: String,
    redirect_uri: String,
    client_secret: Option<String>,
    _process: Process,
}

/// What a sign-in brought.
#[derive(Debug)]
pub struct Tokens {
    /// The ID token.
    pub id_token: String,
    /// The access token, a JWT or opaque.
    pub access_token: String,
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
        let secret = options
            .iter()
            .position(|option| *option == "--client-secret")
            .map(|at| options[at + 1].to_owned());
        Self {
            issuer: text("issuer"),
            client_id: text("client_id"),
            redirect_uri: text("redirect_uri"),
            client_secret: secret,
            _process: process,
        }
    }

    /// Signs a user in by the authorization code flow and returns the ID token.
    ///
    /// # Panics
    /// When the flow does not end with tokens.
    pub fn login(&self, user: &str) -> String {
        self.tokens(user).id_token
    }

    /// Signs a user in by the authorization code flow.
    ///
    /// # Panics
    /// When the flow does not end with tokens.
    pub fn tokens(&self, user: &str) -> Tokens {
        let output = node("login.mjs")
            .args([&self.issuer, &self.client_id, &self.redirect_uri])
            .args([user, &format!("{user}-password")])
            .args(&self.client_secret)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let tokens: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Tokens {
            id_token: text("id_token"),
            access_token: text("access_token"),
        }
    }

    /// Puts new keys in the place of the provider's.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn rotate_keys(&self) {
        let response = http::request(self.port(), "POST", "/control/rotate", &[]).unwrap();
        assert_eq!(response.status, 204, "{response:?}");
    }

    /// Revokes an access token as the client.
    ///
    /// # Panics
    /// When the client has no secret, or the provider does not answer.
    pub fn revoke(&self, access_token: &str) {
        let secret = self.client_secret.as_deref().unwrap();
        // Base64 of lengths that are multiples of three has no padding and so is base64url.
        let credentials = format!("{}:{secret}", self.client_id);
        assert_eq!(
            credentials.len() % 3,
            0,
            "choose a secret of another length"
        );
        let basic = format!("Basic {}", encode_base64url(credentials));
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", basic.as_str()),
        ];
        let body = format!("token={access_token}");
        let response =
            http::send(self.port(), "POST", "/token/revocation", &headers, &body).unwrap();
        assert_eq!(response.status, 200, "{response:?}");
    }

    fn port(&self) -> u16 {
        self.issuer.rsplit_once(':').unwrap().1.parse().unwrap()
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

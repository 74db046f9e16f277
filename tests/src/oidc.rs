//! A real OpenID provider, and users who sign in at it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokensmith_engine::jose::encode_base64url;

use crate::http;
use crate::process::Process;
use crate::scratch::Scratch;

/// A running provider with the accounts alice (admin), bob (viewer) and carol (operator).
#[derive(Debug)]
pub struct OidcProvider {
    /// Its issuer.
    pub issuer: String,
    /// The client that users sign in to.
    pub client_id: String,
    redirect_uri: String,
    client_secret: Option<String>,
    options: Vec<String>,
    process: Process,
    /// Where its keys outlive the process.
    folder: Scratch,
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
        let folder = Scratch::new();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let process = serve(&folder, 0, &options);
        let ready: Value = serde_json::from_str(&process.first_line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let secret = options
            .iter()
            .position(|option| option == "--client-secret")
            .map(|at| options[at + 1].clone());
        Self {
            issuer: text("issuer"),
            client_id: text("client_id"),
            redirect_uri: text("redirect_uri"),
            client_secret: secret,
            options,
            process,
            folder,
        }
    }

    /// Sends SIGSTOP: connections are accepted and not answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on after [`OidcProvider::pause`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Ends it: nobody listens any more.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        self.process.kill();
        self.process.ended(Duration::from_secs(5));
    }

    /// Starts it after [`OidcProvider::kill`], with the same issuer and keys.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        self.process = serve(&self.folder, self.port(), &self.options);
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

    /// Puts new keys in the place of the provider's, which are withdrawn.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn rotate_keys(&self) {
        self.control("/control/rotate");
    }

    /// Has new keys sign; those before stay published.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn rotate_keys_and_keep(&self) {
        self.control("/control/rotate?keep");
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

    fn control(&self, target: &str) {
        let response = http::request(self.port(), "POST", target, &[]).unwrap();
        assert_eq!(response.status, 204, "{response:?}");
    }

    fn port(&self) -> u16 {
        self.issuer.rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

/// The provider at a port, 0 for one that the system chooses, with its keys in `folder`.
fn serve(folder: &Scratch, port: u16, options: &[String]) -> Process {
    let mut command = node("server.mjs");
    command
        .args(["--port", &port.to_string(), "--keys"])
        .arg(folder.path().join("keys.json"))
        .args(options);
    Process::start(command).unwrap_or_else(|error| panic!("{error}"))
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

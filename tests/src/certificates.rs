//! Certificates that `openssl` makes, and a service that is spoken to over TLS with `curl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokensmith_engine::jose::encode_base64url;

use crate::http::Response;
use crate::scratch::Scratch;
use crate::service::{Service, run, tokensmith};

/// A folder with the authority `ca` and, of it, the certificate `server` for this machine.
/// Certificates are in files `NAME.pem`, their keys in `NAME.key`.
#[derive(Debug)]
pub struct Certificates(Scratch);

/// A service whose folder has its certificates; it believes callers which address they have.
#[derive(Debug)]
pub struct TlsService {
    /// Its port, issuer and process.
    pub service: Service,
    calls: AtomicU32,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    /// When they cannot be made.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let certificates = Self(Scratch::new());
        certificates.authority("ca");
        certificates.issue("server", "ca", "server.test", "DNS:localhost,IP:127.0.0.1");
        certificates
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file beside them.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.0.write(name, text)
    }

    /// Makes an authority.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN={name}.test -keyout {name}.key -out {name}.pem"
        ));
    }

    /// Has `authority` issue a certificate with a new key; `alternative_names` as openssl writes
    /// them, such as `DNS:a.test,URI:spiffe://site.test/a`, or empty.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn issue(&self, name: &str, authority: &str, common_name: &str, alternative_names: &str) {
        let mut extensions = "basicConstraints=CA:FALSE\n".to_owned();
        if !alternative_names.is_empty() {
            extensions.push_str(&format!("subjectAltName={alternative_names}\n"));
        }
        self.write(&format!("{name}.cnf"), &extensions);
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
             -subj /CN={common_name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key \
             -CAcreateserial -days 2 -extfile {name}.cnf -out {name}.pem"
        ));
    }

    /// A certificate's `x5t#S256` (RFC 8705 section 3.1), by openssl's fingerprint.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn thumbprint(&self, name: &str) -> String {
        let text = self.openssl(&format!("x509 -in {name}.pem -noout -fingerprint -sha256"));
        let (_, digits) = text.trim().split_once('=').unwrap();
        let digest: Vec<u8> = digits
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        encode_base64url(digest)
    }

    fn openssl(&self, arguments: &str) -> String {
        let made = run(Command::new("openssl")
            .current_dir(self.path())
            .args(arguments.split_whitespace()));
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap()
    }
}

impl TlsService {
    /// Starts one that asks for certificates of `ca`, with more arguments for `serve`.
    ///
    /// # Errors
    /// What it wrote to standard error when it does not come up.
    pub fn start(certificates: &Certificates, arguments: &[&str]) -> Result<Self, String> {
        let mut all = vec![
            "--tls-cert-file",
            "server.pem",
            "--tls-key-file",
            "server.key",
            "--service-identity-ca",
            "ca.pem",
            "--trusted-proxy",
            "127.0.0.0/8",
        ];
        all.extend(arguments);
        Ok(Self {
            service: Service::start(certificates.path(), &all)?,
            calls: AtomicU32::new(0),
        })
    }

    /// Posts a form, showing the certificate of that name. Each call has an address of its own,
    /// so that no limit of failures hides an answer.
    ///
    /// # Panics
    /// When nothing answers.
    pub fn post(
        &self,
        certificate: Option<&str>,
        target: &str,
        parameters: &[(&str, &str)],
    ) -> Response {
        self.try_post(certificate, target, parameters).unwrap()
    }

    /// As [`TlsService::post`].
    ///
    /// # Errors
    /// What curl says when nothing answers.
    pub fn try_post(
        &self,
        certificate: Option<&str>,
        target: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Response, String> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut curl = self.curl(target);
        curl.args(["--include", "--http1.1", "--request", "POST"])
            .args(["--header", "Expect:", "--header"])
            .arg(format!(
                "x-forwarded-for: 10.0.{}.{}",
                call / 250,
                call % 250
            ));
        if let Some(name) = certificate {
            curl.args(["--cert", &format!("{name}.pem")])
                .args(["--key", &format!("{name}.key")]);
        }
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let output = run(&mut curl);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        Ok(Response {
            status: status.parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    /// Verifies a token with the command line, the JWK set that the service publishes, and the
    /// certificate of that name.
    ///
    /// # Panics
    /// When the command answers nothing.
    pub fn verify(
        &self,
        audience: &str,
        certificate: Option<&str>,
        token: &str,
    ) -> (Option<i32>, Value) {
        let mut curl = self.curl("/.well-known/jwks.json");
        let fetched = run(curl.args(["--output", "jwks.json"]));
        assert!(fetched.status.success(), "{fetched:?}");
        let mut command = tokensmith(&self.service.folder);
        command
            .args(["token", "verify", "--jwks", "jwks.json"])
            .args(["--issuer", &self.service.issuer, "--audience", audience]);
        if let Some(name) = certificate {
            command.args(["--certificate", &format!("{name}.pem")]);
        }
        let output = run(command.arg(token));
        let answer = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no JSON: {output:?}"));
        (output.status.code(), answer)
    }

    fn curl(&self, target: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.current_dir(&self.service.folder)
            .args(["--silent", "--show-error", "--max-time", "20"])
            .args(["--cacert", "ca.pem"])
            .arg(format!("https://127.0.0.1:{}{target}", self.service.port));
        curl
    }
}

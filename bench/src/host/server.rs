use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokensmith::signing_key::{KeyKind, SigningKey};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::tokensmith;

use crate::processor::{MEASURED, pinned};

/// `aud` of the tokens that are issued.
pub(crate) const AUDIENCE: &str = "inventory";

/// A program that serves HTTP on a port of this machine; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    log: PathBuf,
    /// Held open: a later line must not end the program.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts the real service on one processor, with its state in `scratch`.
    pub(crate) fn tokensmith(scratch: &Scratch, kind: KeyKind, store: &str, more: &[&str]) -> Self {
        let key = SigningKey::generate(kind).unwrap();
        let file = scratch.write("signing-key.pem", &key.to_pem().unwrap());
        owner_only(&file);
        let mut command = tokensmith(scratch.path());
        command
            .args(["serve", "--issuer", "http://tokensmith.test"])
            .args(["--listen-address", "127.0.0.1", "--port", "0"])
            .args(["--audience", AUDIENCE, "--store", store, "--key-file"])
            .arg(file)
            .args(more);
        Self::start(&command, &scratch.path().join("service.log"))
    }

    /// Starts the HTTP stack alone, answering with `length` bytes, on one processor.
    pub(crate) fn bare(scratch: &Scratch, length: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["bare", &length.to_string()]);
        Self::start(&command, &scratch.path().join("bare.log"))
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn end(mut self) -> ExitStatus {
        let asked = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success(), "{asked}");
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < limit, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the line that ends in `:PORT`.
    fn start(command: &Command, log: &Path) -> Self {
        let mut child = pinned(command, MEASURED)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line
            .trim()
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{command:?} does not serve: `{line}`\n{log}");
        };
        Self {
            port,
            child,
            log: log.to_owned(),
            _output: output,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn owner_only(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

//! A real PostgreSQL server with a cluster of its own.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::ports::free_port;
use crate::scratch::Scratch;
use crate::service::run;
use crate::tool;

/// The server refuses to be root's; Debian's package makes this user.
const USER: &str = "postgres";

/// A server that keeps what it has answered (`fsync` is on); killed when dropped, and its data
/// with it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
    folder: Scratch,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    /// With the server's log when it does not come up.
    pub fn start() -> Self {
        let programs = PathBuf::from(tool("TOKENSMITH_POSTGRES_BIN"));
        let folder = Scratch::new();
        if is_root() {
            let (user, group) = (number("-u"), number("-g"));
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut postgres = Self {
            programs,
            port: free_port(),
            server: None,
            folder,
        };
        let made = run(postgres
            .as_user("initdb")
            .args(["--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["--username=tokensmith", "--pgdata"])
            .arg(postgres.data()));
        assert!(made.status.success(), "{made:?}");
        postgres.start_again();
        postgres
    }

    /// Starts the server after [`Postgres::stop`], on the same port with the same data.
    ///
    /// # Panics
    /// With the server's log when it does not come up, and when it runs already.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "PostgreSQL runs already");
        let log = File::create(self.log_file()).unwrap();
        let server = self
            .as_user("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=on"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error}"));
        self.server = Some(server);
        self.wait();
    }

    /// Stops the server: connections end, and nobody listens.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let server = self.server.take().expect("PostgreSQL does not run");
        end(server, "-INT");
    }

    /// As `--store` takes it.
    pub fn url(&self) -> String {
        format!("postgres://tokensmith@127.0.0.1:{}/postgres", self.port)
    }

    /// What a statement answers, rows on lines and columns between `|`.
    ///
    /// # Panics
    /// When it fails.
    pub fn query(&self, sql: &str) -> String {
        let output = run(self
            .client("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--dbname", &self.url()])
            .args(["--command", sql]));
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        let port = self.port.to_string();
        loop {
            let mut ready = self.client("pg_isready");
            ready.args(["--quiet", "--host", "127.0.0.1", "--port", &port]);
            if run(&mut ready).status.success() {
                return;
            }
            let ended = match &mut self.server {
                Some(server) => server.try_wait().unwrap(),
                None => None,
            };
            if ended.is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
                panic!("PostgreSQL does not come up: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    fn client(&self, program: &str) -> Command {
        Command::new(self.programs.join(program))
    }

    /// A program of the server, not as root.
    fn as_user(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        // The tests' own folder may be closed to that user.
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // Its own processes end with it, as they would not if it were killed.
            end(server, "-QUIT");
        }
    }
}

fn end(mut server: Child, signal: &str) {
    let _ = Command::new("kill")
        .args([signal, &server.id().to_string()])
        .status();
    let _ = server.wait();
}

fn is_root() -> bool {
    std::fs::metadata(Path::new("/proc/self")).unwrap().uid() == 0
}

/// The user's number, `-u`, or its group's, `-g`.
fn number(which: &str) -> u32 {
    let output = run(Command::new("id").args([which, USER]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("no user `{USER}` that PostgreSQL could run as: {output:?}"))
}

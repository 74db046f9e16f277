use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokensmith::store::{Store, StoreLocation};
use tokensmith_tests::scratch::Scratch;

/// The server refuses to be root's; Debian's package makes this user.
const USER: &str = "postgres";

/// A PostgreSQL server with its default settings and an empty database; ended when dropped.
pub(crate) struct Postgres {
    port: u16,
    server: Child,
    _folder: Scratch,
}

impl Postgres {
    /// Starts one with the programs of a folder, where there is `TOKENSMITH_POSTGRES_BIN`.
    pub(crate) fn start() -> Option<Self> {
        let programs = PathBuf::from(std::env::var_os("TOKENSMITH_POSTGRES_BIN")?);
        let folder = Scratch::new();
        if is_root() {
            chown(folder.path(), Some(id("-u")), Some(id("-g"))).unwrap();
        }
        let data = folder.path().join("data");
        let made = as_user(&programs.join("initdb"), folder.path())
            .args(["--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["--username=tokensmith", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = free_port();
        let log = File::create(folder.path().join("postgres.log")).unwrap();
        let server = as_user(&programs.join("postgres"), folder.path())
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-c", "unix_socket_directories="])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self {
            port,
            server,
            _folder: folder,
        };
        server.wait();
        Some(server)
    }

    /// As `--store` takes it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://tokensmith@127.0.0.1:{}/postgres", self.port)
    }

    /// For filling it: what is written is not on the disk before the answer.
    pub(crate) fn fast_url(&self) -> String {
        format!("{}?options=-c%20synchronous_commit%3Doff", self.url())
    }

    fn wait(&mut self) {
        let location: StoreLocation = self.url().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut last = String::new();
            for _ in 0..100 {
                match Store::open(&location).await {
                    Ok(store) => return store.close().await,
                    Err(error) => last = error.to_string(),
                }
                let ended = self.server.try_wait().unwrap();
                assert!(ended.is_none(), "PostgreSQL ended: {ended:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            panic!("PostgreSQL does not come up: {last}");
        });
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its fast shutdown; a killed one would leave its own processes to notice.
        let _ = Command::new("kill")
            .args(["-INT", &self.server.id().to_string()])
            .status();
        let _ = self.server.wait();
    }
}

fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The user's number, `-u`, or its group's, `-g`.
fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, USER]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("no user `{USER}` that PostgreSQL could run as: {output:?}"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

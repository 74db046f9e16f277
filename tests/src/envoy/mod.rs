//! A real Envoy with the filter.

mod admin;
mod bootstrap;
pub mod callers;
mod filters;
pub mod origin;

pub use bootstrap::{Setup, address, answer, cluster, grpc_cluster};
pub use filters::{ext_authz_filter, typed, wasm_filter, wasm_filter_with};

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ports::free_port;
use crate::scratch::Scratch;
use crate::{http, tool};

/// The cluster name of the backend, for `jwks_cluster`.
pub const BACKEND: &str = "backend";

const LISTENER: &str = "listener.json";
const LOG: &str = "envoy.log";
const ACCESS_LOG: &str = "access.log";

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    /// The port of its listener.
    pub port: u16,
    admin: u16,
    process: Child,
    folder: Scratch,
}

impl Envoy {
    /// Starts Envoy with the filter configured by `filter` before the backend on `backend`.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    pub fn start(filter: &Value, backend: u16) -> Result<Self, String> {
        Setup::new(filter, backend).start()
    }

    /// As [`Envoy::start`], with named clusters on ports of this machine; [`BACKEND`] has to be
    /// among them.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn start_with(filter: &Value, clusters: &[(&str, u16)]) -> Result<Self, String> {
        let clusters = clusters
            .iter()
            .map(|(name, port)| cluster(name, *port))
            .collect();
        Setup {
            clusters,
            ..Setup::new(filter, 0)
        }
        .start()
    }

    /// Starts Envoy with HTTP filters, the router after them, before one route; on one processor
    /// if it is named.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn launch(
        filters: &[Value],
        route: &Value,
        clusters: &[Value],
        processor: Option<u32>,
    ) -> Result<Self, String> {
        Setup {
            routes: vec![route.clone()],
            clusters: clusters.to_vec(),
            processor,
            ..Setup::of_filters(filters)
        }
        .start()
    }

    /// Starts Envoy with a bootstrap as it is written, which listens on `port` and has its
    /// administration on `admin`.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn of_bootstrap(name: &str, text: &str, (port, admin): (u16, u16)) -> Result<Self, String> {
        let folder = Scratch::new();
        folder.write(name, text);
        Self::run(folder, name, (port, admin), 1, None)
    }

    /// What Envoy has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// The entries of its access log so far; see [`Setup::access_log`].
    ///
    /// # Panics
    /// When one is not JSON.
    pub fn access_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join(ACCESS_LOG)).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// Waits until the access log has `count` entries.
    ///
    /// # Panics
    /// When it has not in ten seconds.
    pub fn wait_for_access_log(&self, count: usize) -> Vec<Value> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let entries = self.access_log();
            if entries.len() >= count {
                return entries;
            }
            assert!(Instant::now() < end, "{entries:?} are not {count} entries");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts another listener in the place of the one it follows; see [`Setup::follows_file`].
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn update(&self, setup: &Setup) {
        let next = self.folder.write(
            "next.json",
            &setup.listener_file(self.folder.path(), self.port),
        );
        // Envoy looks at the file when another is moved there.
        std::fs::rename(next, self.folder.path().join(LISTENER)).unwrap();
    }

    /// Sends a request through Envoy.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> http::Response {
        http::request(self.port, method, target, headers)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn run(
        folder: Scratch,
        bootstrap: &str,
        (port, admin): (u16, u16),
        workers: u32,
        processor: Option<u32>,
    ) -> Result<Self, String> {
        let output = std::fs::File::create(folder.path().join(LOG)).unwrap();
        let envoy = tool("TOKENSMITH_ENVOY");
        let mut command = match processor {
            None => Command::new(envoy),
            Some(processor) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["--cpu-list", &processor.to_string(), &envoy]);
                pinned
            }
        };
        let process = command
            .args(["--concurrency", &workers.to_string()])
            .args(["--disable-hot-restart", "--log-level", "warn"])
            .args(["--component-log-level", "wasm:info"])
            .args(["--file-flush-interval-msec", "50"])
            .args(["--drain-strategy", "immediate", "--drain-time-s", "2"])
            .arg("--config-path")
            .arg(folder.path().join(bootstrap))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut envoy = Self {
            port,
            admin,
            process,
            folder,
        };
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if envoy.process.try_wait().unwrap().is_some() || Instant::now() > end {
                return Err(envoy.log());
            }
            let ready = http::request(admin, "GET", "/ready", &[]);
            if ready.is_ok_and(|response| response.status == 200)
                && TcpStream::connect(("127.0.0.1", port)).is_ok()
            {
                return Ok(envoy);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Setup {
    /// Starts Envoy.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn start(&self) -> Result<Envoy, String> {
        let folder = Scratch::new();
        let (port, admin) = (free_port(), free_port());
        if self.follows_file {
            folder.write(LISTENER, &self.listener_file(folder.path(), port));
        }
        let bootstrap = self.bootstrap(folder.path(), port, admin);
        folder.write("envoy.json", &bootstrap.to_string());
        Envoy::run(
            folder,
            "envoy.json",
            (port, admin),
            self.workers,
            self.processor,
        )
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

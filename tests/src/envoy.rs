//! A real Envoy with the filter.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ports::free_port;
use crate::{http, tool};

/// The cluster name of the backend, for `jwks_cluster`.
pub const BACKEND: &str = "backend";

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    /// The port of its listener.
    pub port: u16,
    process: Child,
    log: PathBuf,
}

impl Envoy {
    /// Starts Envoy with the filter configured by `filter` before the backend on `backend`.
    ///
    /// # Errors
    /// Envoy's log when it does not come up.
    pub fn start(filter: &Value, backend: u16) -> Result<Self, String> {
        Self::start_with(filter, &[(BACKEND, backend)])
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
        let route = json!({"match": {"prefix": "/"}, "route": {"cluster": BACKEND}});
        let filters = [wasm_filter(filter)];
        let clusters: Vec<Value> = clusters
            .iter()
            .map(|(name, port)| cluster(name, *port))
            .collect();
        Self::launch(&filters, &route, &clusters, None)
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
        let (port, admin) = (free_port(), free_port());
        let folder =
            std::env::temp_dir().join(format!("tokensmith-envoy-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (bootstrap, log) = (folder.join("envoy.json"), folder.join("envoy.log"));
        std::fs::write(
            &bootstrap,
            config(filters, route, clusters, port, admin).to_string(),
        )
        .unwrap();
        let output = std::fs::File::create(&log).unwrap();
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
            .args([
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "warn",
            ])
            .args(["--component-log-level", "wasm:info", "--config-path"])
            .arg(&bootstrap)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut envoy = Self { port, process, log };
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if envoy.process.try_wait().unwrap().is_some() || Instant::now() > end {
                return Err(envoy.log());
            }
            let ready = http::request(admin, "GET", "/ready", &[]);
            if ready.is_ok_and(|response| response.status == 200) {
                return Ok(envoy);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What Envoy has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a request through Envoy.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> http::Response {
        http::request(self.port, method, target, headers)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(folder) = self.log.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A message with its type's name, as Envoy's configuration writes extensions.
pub fn typed(name: &str, mut value: Value) -> Value {
    value["@type"] = format!("type.googleapis.com/{name}").into();
    value
}

/// The filter as an HTTP filter of Envoy's.
pub fn wasm_filter(configuration: &Value) -> Value {
    let configuration = json!({"value": configuration.to_string()});
    let wasm = typed(
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": {
            "name": "tokensmith",
            "root_id": "tokensmith",
            "fail_open": false,
            "configuration": typed("google.protobuf.StringValue", configuration),
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": tool("TOKENSMITH_FILTER_WASM")}},
            },
        }}),
    );
    json!({"name": "tokensmith", "typed_config": wasm})
}

/// The filter that asks another service, in the cluster `cluster`; 503 is the answer when that one
/// gives none.
pub fn ext_authz_filter(cluster: &str) -> Value {
    let filter = typed(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        json!({
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "5s"},
            "failure_mode_allow": false,
            "status_on_error": {"code": "ServiceUnavailable"},
            "include_peer_certificate": true,
        }),
    );
    json!({"name": "envoy.filters.http.ext_authz", "typed_config": filter})
}

/// A cluster at `address` that speaks HTTP/2, as gRPC needs it.
pub fn grpc_cluster(name: &str, address: &Value) -> Value {
    let options = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"explicit_http_config": {"http2_protocol_options": {}}}),
    );
    let mut cluster = cluster_at(name, address);
    cluster["typed_extension_protocol_options"] =
        json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options});
    cluster
}

/// A cluster on a port of this machine.
pub fn cluster(name: &str, port: u16) -> Value {
    cluster_at(name, &address(port))
}

fn cluster_at(name: &str, address: &Value) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{
            "lb_endpoints": [{"endpoint": {"address": address}}],
        }]},
    })
}

/// A port of this machine.
pub fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn config(filters: &[Value], route: &Value, clusters: &[Value], port: u16, admin: u16) -> Value {
    let router = typed("envoy.extensions.filters.http.router.v3.Router", json!({}));
    let mut filters = filters.to_vec();
    filters.push(json!({"name": "router", "typed_config": router}));
    let manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "test",
            "route_config": {"virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [route]},
            ]},
            "http_filters": filters,
        }),
    );
    json!({
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [{
                "name": "test", "address": address(port),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                }]}],
            }],
            "clusters": clusters,
        },
    })
}

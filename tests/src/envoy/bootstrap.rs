use std::path::Path;

use serde_json::{Value, json};

use super::filters::merge;
use super::{ACCESS_LOG, BACKEND, LISTENER, typed, wasm_filter};

/// What an Envoy is started with: one listener of HTTP.
#[derive(Clone, Debug)]
pub struct Setup {
    /// HTTP filters; the router comes after them.
    pub filters: Vec<Value>,
    /// The routes of all hosts.
    pub routes: Vec<Value>,
    /// Clusters.
    pub clusters: Vec<Value>,
    /// Worker threads; each has a VM of its own.
    pub workers: u32,
    /// The processor it is bound to.
    pub processor: Option<u32>,
    /// More fields of the HTTP connection manager.
    pub manager: Value,
    /// More fields of the filter chain, such as `transport_socket`.
    pub chain: Value,
    /// The members of each access log entry, as Envoy's `json_format`.
    pub access_log: Option<Value>,
    /// Whether the listener is in a file that Envoy follows; see [`super::Envoy::update`].
    pub follows_file: bool,
}

impl Setup {
    /// The filter configured by `filter` before the backend on the port `backend`.
    pub fn new(filter: &Value, backend: u16) -> Self {
        Self {
            clusters: vec![cluster(BACKEND, backend)],
            ..Self::of_filters(&[wasm_filter(filter)])
        }
    }

    /// The filter configured by `filter` before Envoy's own answer, 200 `ok`.
    pub fn answering(filter: &Value) -> Self {
        Self {
            routes: vec![answer("/", "ok")],
            clusters: Vec::new(),
            ..Self::new(filter, 0)
        }
    }

    /// HTTP filters before a route to [`BACKEND`], which has no cluster yet.
    pub fn of_filters(filters: &[Value]) -> Self {
        Self {
            filters: filters.to_vec(),
            routes: vec![json!({"match": {"prefix": "/"}, "route": {"cluster": BACKEND}})],
            clusters: Vec::new(),
            workers: 1,
            processor: None,
            manager: json!({}),
            chain: json!({}),
            access_log: None,
            follows_file: false,
        }
    }

    pub(super) fn bootstrap(&self, folder: &Path, port: u16, admin: u16) -> Value {
        let mut bootstrap = json!({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(admin)},
            "static_resources": {"clusters": self.clusters},
        });
        if self.follows_file {
            let path = folder.join(LISTENER).display().to_string();
            bootstrap["dynamic_resources"] = json!({"lds_config": {
                "path_config_source": {"path": path}, "resource_api_version": "V3",
            }});
        } else {
            bootstrap["static_resources"]["listeners"] = json!([self.listener(folder, port)]);
        }
        bootstrap
    }

    /// The file that Envoy's listener discovery service reads.
    pub(super) fn listener_file(&self, folder: &Path, port: u16) -> String {
        let listener = typed(
            "envoy.config.listener.v3.Listener",
            self.listener(folder, port),
        );
        json!({"resources": [listener]}).to_string()
    }

    fn listener(&self, folder: &Path, port: u16) -> Value {
        let router = typed("envoy.extensions.filters.http.router.v3.Router", json!({}));
        let mut filters = self.filters.clone();
        filters.push(json!({"name": "router", "typed_config": router}));
        let mut manager = json!({
            "stat_prefix": "test",
            "route_config": {"name": "all", "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": self.routes},
            ]},
            "http_filters": filters,
        });
        if let Some(format) = &self.access_log {
            let path = folder.join(ACCESS_LOG).display().to_string();
            let file = typed(
                "envoy.extensions.access_loggers.file.v3.FileAccessLog",
                json!({"path": path, "log_format": {"json_format": format}}),
            );
            manager["access_log"] = json!([{"name": "file", "typed_config": file}]);
        }
        merge(&mut manager, &self.manager);
        let manager = typed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        );
        let mut chain = json!({"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        }]});
        merge(&mut chain, &self.chain);
        json!({"name": "test", "address": address(port), "filter_chains": [chain]})
    }
}

/// A route for paths that begin with `prefix`, which Envoy answers itself: 200 `body`.
pub fn answer(prefix: &str, body: &str) -> Value {
    let answer = json!({"status": 200, "body": {"inline_string": body}});
    json!({"match": {"prefix": prefix}, "direct_response": answer})
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

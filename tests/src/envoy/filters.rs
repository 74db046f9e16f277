use serde_json::{Value, json};

use crate::tool;

/// A message with its type's name, as Envoy's configuration writes extensions.
pub fn typed(name: &str, mut value: Value) -> Value {
    value["@type"] = format!("type.googleapis.com/{name}").into();
    value
}

/// The filter as an HTTP filter of Envoy's.
pub fn wasm_filter(configuration: &Value) -> Value {
    wasm_filter_with(configuration, &json!({}))
}

/// As [`wasm_filter`], with `change` laid over Envoy's `PluginConfig`: objects are merged, `null`
/// takes a member out.
pub fn wasm_filter_with(configuration: &Value, change: &Value) -> Value {
    let configuration = json!({"value": configuration.to_string()});
    let mut plugin = json!({
        "name": "tokensmith",
        "root_id": "tokensmith",
        "failure_policy": "FAIL_CLOSED",
        "configuration": typed("google.protobuf.StringValue", configuration),
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": tool("TOKENSMITH_FILTER_WASM")}},
        },
    });
    merge(&mut plugin, change);
    let wasm = typed(
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": plugin}),
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

/// Lays `change` over `base`.
pub(super) fn merge(base: &mut Value, change: &Value) {
    let (Some(own), Some(changes)) = (base.as_object_mut(), change.as_object()) else {
        *base = change.clone();
        return;
    };
    for (name, value) in changes {
        if value.is_null() {
            own.remove(name);
        } else {
            merge(own.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

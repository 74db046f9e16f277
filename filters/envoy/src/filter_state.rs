use proxy_wasm::hostcalls;
use tokensmith_engine::decide::Outcome;

use crate::protobuf::Message;

/// The names; Envoy puts `wasm.` before them.
const DECISION: &str = "tokensmith.decision";
const CLAIMS: &str = "tokensmith.claims";

/// Envoy's `WasmType.String`.
const STRING: usize = 1;

/// Tells Envoy that the values are text, which expressions and formats can then read as such. A
/// host without the function keeps them as bytes.
pub(crate) fn declare() {
    for name in [DECISION, CLAIMS] {
        let mut arguments = Message::with_capacity(name.len() + 4);
        arguments.bytes(1, name.as_bytes());
        arguments.number(3, STRING);
        // Envoy refuses to declare a name twice, and knows it then.
        let _ = hostcalls::call_foreign_function("declare_property", Some(arguments.as_bytes()));
    }
}

/// Hands the decision and the claims asked for to later filters and to access logs.
pub(crate) fn set(outcome: &Outcome<'_>) {
    put(DECISION, serde_json::to_vec(&outcome.record));
    if let Some(identity) = &outcome.identity
        && !identity.exported_claims().is_empty()
    {
        put(CLAIMS, serde_json::to_vec(identity.exported_claims()));
    }
}

fn put(name: &str, json: serde_json::Result<Vec<u8>>) {
    if let Ok(json) = json {
        // The decision stands whether or not it can be told.
        let _ = hostcalls::set_property(vec![name], Some(&json));
    }
}

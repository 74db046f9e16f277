//! The TokenSmith Envoy filter: a proxy-wasm shell over the engine.
//!
//! The engine decides; this crate reads headers and the clock, lets Envoy check signatures and
//! fetch JWK sets and policy bundles, carries out the outcome and counts. A panic would take the
//! VM down with it, so there is none here: every host call's failure is handled, and failing
//! means "not verified".

// The entry point that the macro below defines cannot carry documentation.
#![allow(missing_docs)]

mod answered;
mod bundle;
mod counter;
mod decision;
mod document;
mod ecdsa_der;
mod filter_state;
mod headers;
mod host;
mod keys;
mod metric_name;
mod metrics;
mod overrides;
mod protobuf;
mod request;
mod resume;
mod root;
mod shared_data;
mod signature;
mod state;
mod waiting;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}

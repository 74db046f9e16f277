//! The TokenSmith Envoy filter: a proxy-wasm shell over the engine.
//!
//! The engine decides; this crate reads headers and the clock, lets Envoy check signatures and
//! fetch JWK sets, and carries out the outcome. A panic would take the VM down with it, so there
//! is none: every host call's failure is handled, and failing means "not verified".

// The entry point that the macro below defines cannot carry documentation.
#![allow(missing_docs)]

mod jwks;
mod request;
mod root;
mod signature;
mod state;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}

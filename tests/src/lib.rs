//! What the end-to-end tests run against: a real Envoy with the filter, the real service, a
//! real OpenID provider, a backend that tells what reached it, and keys that sign real tokens.
// A harness that cannot go on has to fail its test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod backend;
pub mod certificates;
pub mod clients;
pub mod engine_component;
pub mod envoy;
pub mod exchange;
pub mod http;
pub mod load;
pub mod oidc;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod scratch;
pub mod service;
pub mod small_disk;
pub mod tokens;
pub mod wasm_host;

/// The path in the environment variable `name`, which `cargo xtask test` sets.
///
/// # Panics
/// When it is not set: a missing tool fails the test.
pub fn tool(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("`{name}` is not set: run the tests with `cargo xtask test`"))
}

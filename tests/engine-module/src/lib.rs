//! The engine behind one function: a line of JSON in, a line of JSON out. The same code runs
//! natively and as a WebAssembly component, so that the answers of both can be compared.

#[cfg(target_arch = "wasm32")]
mod component;
mod line;
mod session;

pub use session::Session;

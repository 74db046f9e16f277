//! What the build and the tests need beyond the Rust toolchain. Every step is idempotent.

mod envoy;
mod wasm_std;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use wasm_std::{WasmStd, wasm_std};

/// The tools, ready to use.
pub(crate) struct Tools {
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
}

/// Installs everything.
pub(crate) fn all() -> Result<Tools> {
    wasm_std()?;
    Ok(Tools {
        envoy: envoy::install()?,
    })
}

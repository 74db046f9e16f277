//! What the build and the tests need beyond the Rust toolchain. Every step is idempotent.

mod cargo_tool;
mod debian;
mod envoy;
mod node;
mod postgres;
mod python;
mod wasm_std;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use wasm_std::{WasmStd, wasm_std};

/// The tools, ready to use.
pub(crate) struct Tools {
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
    /// The Chromium binary.
    pub(crate) chromium: PathBuf,
    /// The folder of PostgreSQL's programs.
    pub(crate) postgres: PathBuf,
    /// The program that makes requests from an OpenAPI document.
    pub(crate) schemathesis: PathBuf,
}

/// Installs everything.
pub(crate) fn all() -> Result<Tools> {
    wasm_std()?;
    node::packages("tests/oidc-provider")?;
    node::packages("tests/browser")?;
    node::packages("tests/wire")?;
    debian::program("openssl", "openssl")?;
    debian::program("curl", "curl")?;
    debian::program("systemd-analyze", "systemd")?;
    Ok(Tools {
        envoy: envoy::install()?,
        chromium: debian::program("chromium", "chromium")?,
        postgres: postgres()?,
        schemathesis: python::program("schemathesis", "tests/openapi/requirements.txt")?,
    })
}

/// The load generator of the benchmarks.
pub(crate) fn wrk() -> Result<PathBuf> {
    debian::program("wrk", "wrk")
}

/// Programs that work on modules.
pub(crate) struct Binaryen {
    pub(crate) metadce: PathBuf,
    pub(crate) opt: PathBuf,
}

/// What makes modules small.
pub(crate) fn binaryen() -> Result<Binaryen> {
    Ok(Binaryen {
        metadce: debian::program("wasm-metadce", "binaryen")?,
        opt: debian::program("wasm-opt", "binaryen")?,
    })
}

/// The folder of PostgreSQL's programs.
pub(crate) fn postgres() -> Result<PathBuf> {
    postgres::programs()
}

/// The program that builds and runs fuzz targets.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    debian::program("g++", "g++")?;
    cargo_tool::install("cargo-fuzz", "0.13.2", "cargo-fuzz")
}

/// The program that checks licences, sources and advisories of dependencies.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    cargo_tool::install("cargo-deny", "0.20.2", "cargo-deny")
}

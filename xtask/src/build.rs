use anyhow::Result;

use crate::command::{command, run};
use crate::setup::{WasmStd, wasm_std};

/// Everything that is shipped.
pub(crate) fn all() -> Result<()> {
    host()?;
    filter()
}

/// target/release/tokensmith
fn host() -> Result<()> {
    run(&mut command(
        "cargo",
        &["build", "--locked", "--release", "--package", "tokensmith"],
    ))
}

/// target/wasm32-unknown-unknown/release/tokensmith_envoy.wasm
fn filter() -> Result<()> {
    let mut build = command(
        "cargo",
        &[
            "build",
            "--locked",
            "--release",
            "--package",
            "tokensmith-envoy",
            "--target",
            "wasm32-unknown-unknown",
        ],
    );
    // One unit and fat LTO: every proxy downloads this module.
    for setting in ["lto=\"fat\"", "codegen-units=1", "panic=\"abort\""] {
        build.args(["--config", &format!("profile.release.{setting}")]);
    }
    if wasm_std()? == WasmStd::Built {
        build
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    run(&mut build)
}

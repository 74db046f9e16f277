use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::command::{command, root, run};
use crate::setup::{WasmStd, wasm_std};

/// Everything that is shipped.
pub(crate) fn all() -> Result<()> {
    host()?;
    filter()?;
    package()
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
    wasm("tokensmith-envoy", "3")
}

/// wasm/pkg, the npm package.
fn package() -> Result<()> {
    wasm("tokensmith-wasm", "s")?;
    let package = root().join("wasm/pkg");
    if package.exists() {
        std::fs::remove_dir_all(&package)?;
    }
    let module = root().join("target/wasm32-unknown-unknown/release/tokensmith_wasm.wasm");
    Bindgen::new()
        .input_path(module)
        .out_name("engine")
        .web(true)?
        .generate(&package)
        .context("cannot make the JavaScript bindings")?;
    for entry in std::fs::read_dir(root().join("wasm/js"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            std::fs::copy(&path, package.join(name))?;
        }
    }
    std::fs::copy(root().join("LICENSE"), package.join("LICENSE"))?;
    Ok(())
}

fn wasm(package: &str, opt_level: &str) -> Result<()> {
    let mut build = command(
        "cargo",
        &[
            "build",
            "--locked",
            "--release",
            "--package",
            package,
            "--target",
            "wasm32-unknown-unknown",
        ],
    );
    // One unit and fat LTO: every proxy and browser downloads these modules.
    for setting in [
        "lto=\"fat\"".to_owned(),
        "codegen-units=1".to_owned(),
        "panic=\"abort\"".to_owned(),
        format!("opt-level=\"{opt_level}\"").replace("\"3\"", "3"),
    ] {
        build.args(["--config", &format!("profile.release.{setting}")]);
    }
    if wasm_std()? == WasmStd::Built {
        build
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    run(&mut build)
}

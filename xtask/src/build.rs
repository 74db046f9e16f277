use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::callbacks;
use crate::command::{command, root, run};
use crate::plugins;
use crate::setup::{WasmStd, wasm_std};

/// Everything that is shipped.
pub(crate) fn all() -> Result<()> {
    host()?;
    filter()?;
    plugins::components()
}

/// target/release/tokensmith, with the inspector, and wasm/pkg, which is in it.
pub(crate) fn host() -> Result<()> {
    package()?;
    run(&mut command(
        "cargo",
        &[
            "build",
            "--locked",
            "--release",
            "--package",
            "tokensmith",
            "--features",
            "plugins,ui",
        ],
    ))
}

/// target/wasm32-unknown-unknown/release/tokensmith_envoy.wasm
fn filter() -> Result<()> {
    // What is not called is told from what is by the names of exports.
    wasm("tokensmith-envoy", &["opt-level=3", "strip=\"none\""])?;
    let module = root().join("target/wasm32-unknown-unknown/release/tokensmith_envoy.wasm");
    callbacks::keep_what_is_called(&module, "-O2")
}

/// The modules of the npm package: crate, name in the package, and how it is optimized. Policies
/// are for size, as regular expressions make that module the largest.
const MODULES: [(&str, &str, &str); 3] = [
    ("tokensmith-wasm", "engine", "opt-level=3"),
    ("tokensmith-wasm-policy", "policy_engine", "opt-level=\"s\""),
    ("tokensmith-wasm-portable", "portable", "opt-level=3"),
];

/// wasm/pkg, the npm package.
pub(crate) fn package() -> Result<()> {
    let package = root().join("target/npm-package");
    if package.exists() {
        std::fs::remove_dir_all(&package)?;
    }
    for (own, name, optimized) in MODULES {
        // The bindings are made from the names that stripping would remove; they strip after.
        wasm(own, &[optimized, "strip=\"none\""])?;
        let file = format!("{}.wasm", own.replace('-', "_"));
        let module = root()
            .join("target/wasm32-unknown-unknown/release")
            .join(file);
        Bindgen::new()
            .input_path(module)
            .out_name(name)
            .web(true)?
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(&package)
            .with_context(|| format!("cannot make the JavaScript bindings of `{own}`"))?;
    }
    for entry in std::fs::read_dir(root().join("wasm/js"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            std::fs::copy(&path, package.join(name))?;
        }
    }
    std::fs::copy(root().join("LICENSE"), package.join("LICENSE"))?;
    mirror(&package, &root().join("wasm/pkg"))
}

/// Makes `to` hold the files of `from`. Those that are the same are left as they are: whatever is
/// built from them is not built again.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let content = std::fs::read(entry.path())?;
        let target = to.join(entry.file_name());
        let former = std::fs::read(&target).ok();
        if former.as_deref() != Some(content.as_slice()) {
            std::fs::write(&target, &content)?;
        }
        names.insert(entry.file_name());
    }
    for entry in std::fs::read_dir(to)? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The module of a package, with settings of the release profile.
pub(crate) fn wasm(package: &str, profile: &[&str]) -> Result<()> {
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
    let settings = ["lto=\"fat\"", "codegen-units=1", "panic=\"abort\""];
    for setting in settings.iter().chain(profile) {
        build.args(["--config", &format!("profile.release.{setting}")]);
    }
    if wasm_std()? == WasmStd::Built {
        build
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    run(&mut build)
}

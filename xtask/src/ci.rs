use anyhow::{Result, bail};

use crate::command::{command, output, run};
use crate::{build, demo, dependencies, fuzz, module_imports, test};

/// What has to hold before a change lands.
pub(crate) fn all() -> Result<()> {
    run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    // The host has it in it.
    build::package()?;
    run(&mut command(
        "cargo",
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
    ))?;
    engine_graph()?;
    dependencies::check()?;
    test::all()?;
    module_imports::check()?;
    fuzz::all(fuzz::SECONDS)?;
    demo::run_demo(&["--once"])
}

/// The engine has no clock, randomness or runtime in its wasm32 graph.
fn engine_graph() -> Result<()> {
    const REFUSED: [&str; 5] = ["getrandom", "js-sys", "wasm-bindgen", "tokio", "web-time"];
    let tree = output(&mut command(
        "cargo",
        &[
            "tree",
            "--locked",
            "--package",
            "tokensmith-engine",
            "--features",
            "portable",
            "--target",
            "wasm32-unknown-unknown",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ],
    ))?;
    let found = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .find(|name| REFUSED.contains(name));
    match found {
        Some(name) => bail!("the engine's wasm32 graph has `{name}`"),
        None => Ok(()),
    }
}

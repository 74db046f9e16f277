use std::process::Command;

use anyhow::Result;

use crate::command::{command, root, run};
use crate::plugins::{components, folder};
use crate::test::with_tools;
use crate::{build, setup};

/// How long a soak takes unless told.
pub(crate) const SOAK_SECONDS: u32 = 600;
/// A shorter soak shows nothing.
pub(crate) const LEAST_SOAK_SECONDS: u32 = 60;

/// Every benchmark.
pub(crate) fn all() -> Result<()> {
    engine()?;
    tower()?;
    envoy()?;
    wasm()?;
    host()?;
    plugins()
}

/// The engine beside jsonwebtoken, casbin-rs and the signature check alone.
pub(crate) fn engine() -> Result<()> {
    run(&mut command("cargo", &program("bench-engine")))
}

/// The layers in an axum router beside the router alone.
pub(crate) fn tower() -> Result<()> {
    run(&mut command("cargo", &program("bench-tower")))
}

/// The filter in Envoy beside Envoy's own filters and none.
pub(crate) fn envoy() -> Result<()> {
    let tools = setup::all()?;
    let wrk = setup::wrk()?;
    build::all()?;
    let mut bench = command("cargo", &program("bench-envoy"));
    run(with_tools(bench.env("TOKENSMITH_WRK", wrk), &tools))
}

/// The JavaScript package beside `jose`, in Node.js and Chromium.
pub(crate) fn wasm() -> Result<()> {
    let tools = setup::all()?;
    build::all()?;
    let mut bench = command("node", &["tests/browser/bench.mjs"]);
    run(with_tools(&mut bench, &tools))
}

/// The service, on SQLite and PostgreSQL, beside the HTTP stack, the signature and the disk alone.
pub(crate) fn host() -> Result<()> {
    let wrk = setup::wrk()?;
    let postgres = setup::postgres()?;
    build::host()?;
    let mut bench = command("cargo", &program("bench-host"));
    bench
        .env("TOKENSMITH_WRK", wrk)
        .env("TOKENSMITH_POSTGRES_BIN", postgres);
    run(with_service(&mut bench))
}

/// The engine under wasmtime beside itself, and calls of a plugin.
pub(crate) fn plugins() -> Result<()> {
    components()?;
    let mut bench = command("cargo", &program("bench-plugins"));
    run(bench.env("TOKENSMITH_PLUGINS", folder()))
}

/// The service with a million refresh families under steady load for `seconds`: fails when memory
/// grows or a request fails.
pub(crate) fn soak(seconds: u32) -> Result<()> {
    build::host()?;
    let mut bench = command("cargo", &program("bench-host"));
    bench.args(["--", "soak", &seconds.to_string()]);
    run(with_service(&mut bench))
}

fn with_service(command: &mut Command) -> &mut Command {
    command.env("TOKENSMITH_BIN", root().join("target/release/tokensmith"))
}

fn program(name: &str) -> [&str; 8] {
    [
        "run",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "tokensmith-bench",
        "--bin",
        name,
    ]
}

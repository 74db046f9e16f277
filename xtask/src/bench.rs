use anyhow::Result;

use crate::command::{command, run};
use crate::test::with_tools;
use crate::{build, setup};

/// Every benchmark.
pub(crate) fn all() -> Result<()> {
    engine()?;
    envoy()?;
    wasm()
}

/// The engine beside jsonwebtoken, casbin-rs and the signature check alone.
pub(crate) fn engine() -> Result<()> {
    run(&mut command("cargo", &program("bench-engine")))
}

/// The filter in Envoy beside Envoy's own filters and none.
pub(crate) fn envoy() -> Result<()> {
    let tools = setup::all()?;
    let wrk = setup::wrk()?;
    build::all()?;
    let mut bench = command("cargo", &program("bench-envoy"));
    run(with_tools(bench.env("TOKENSMITH_WRK", wrk), &tools))
}

/// The JavaScript package beside `jose`, in Node.js.
pub(crate) fn wasm() -> Result<()> {
    setup::all()?;
    build::all()?;
    run(&mut command("node", &["tests/browser/bench.mjs"]))
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

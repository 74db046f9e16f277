use anyhow::Result;

use crate::command::{command, root, run};
use crate::{build, setup};

/// Set-up, build, and every test of the workspace.
pub(crate) fn all() -> Result<()> {
    let tools = setup::all()?;
    build::all()?;
    let filter = root().join("target/wasm32-unknown-unknown/release/tokensmith_envoy.wasm");
    run(command(
        "cargo",
        &["test", "--locked", "--workspace", "--all-features"],
    )
    .env("TOKENSMITH_ENVOY", tools.envoy)
    .env("TOKENSMITH_FILTER_WASM", filter))
}

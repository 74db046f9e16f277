use anyhow::Result;

use crate::command::{command, run};
use crate::test::with_tools;
use crate::{build, setup};

/// Set-up, build, and the main job on real parts, step by step.
pub(crate) fn run_demo(arguments: &[&str]) -> Result<()> {
    let tools = setup::all()?;
    build::all()?;
    let demo = [
        "run",
        "--quiet",
        "--locked",
        "--package",
        "tokensmith-tests",
        "--bin",
        "demo",
        "--",
    ];
    run(with_tools(command("cargo", &demo).args(arguments), &tools))
}

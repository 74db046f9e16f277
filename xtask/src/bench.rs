use anyhow::Result;

use crate::command::{command, run};

/// The engine beside jsonwebtoken, casbin-rs and the signature check alone.
pub(crate) fn engine() -> Result<()> {
    run(&mut command(
        "cargo",
        &[
            "run",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "tokensmith-bench",
            "--bin",
            "bench-engine",
        ],
    ))
}

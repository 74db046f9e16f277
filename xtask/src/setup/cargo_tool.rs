use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::command::{command, root, run};

/// A program of a crate, built into target/tools.
pub(crate) fn install(package: &str, version: &str, binary: &str) -> Result<PathBuf> {
    let folder = root()
        .join("target/tools")
        .join(format!("{package}-{version}"));
    let program = folder.join("bin").join(binary);
    if program.is_file() {
        return Ok(program);
    }
    let to = folder.to_string_lossy().into_owned();
    run(&mut command(
        "cargo",
        &[
            "install",
            "--quiet",
            "--locked",
            "--root",
            &to,
            "--version",
            version,
            package,
        ],
    ))
    .with_context(|| format!("`{binary}` comes from the crate `{package}` {version}"))?;
    Ok(program)
}

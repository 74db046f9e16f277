use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{command, output, root, run};

/// The packages of a folder with package-lock.json, exactly as locked.
pub(crate) fn packages(folder: &str) -> Result<PathBuf> {
    let folder = root().join(folder);
    let lock = folder.join("package-lock.json");
    let done = folder.join("node_modules/.installed-from");
    let sum = output(&mut command("sha256sum", &[&path(&lock)]))?;
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == sum) {
        return Ok(folder);
    }
    run(command(
        "npm",
        &["ci", "--no-audit", "--no-fund", "--loglevel=error"],
    )
    .current_dir(&folder))
    .context(
        "the tests need Node.js 20.19 or newer with npm, and its package registry: install Node.js",
    )?;
    std::fs::write(done, sum)?;
    Ok(folder)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

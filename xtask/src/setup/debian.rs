use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::command::{command, run};

/// A program that Debian packages: the one on the path, else installed where this may be done.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    let install = || {
        run(&mut command("apt-get", &["-qq", "update"]))?;
        run(command(
            "apt-get",
            &[
                "-qq",
                "install",
                "--yes",
                "--no-install-recommends",
                package,
            ],
        )
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
        on_path(name).with_context(|| format!("package `{package}` brought no `{name}`"))
    };
    install().with_context(|| {
        format!("`{name}` is needed and could not be installed: install it (Debian's package is `{package}`)")
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{command, output, root, run};

/// A program of the Python packages that a file of requirements locks, in an environment of its
/// own under target/tools.
pub(crate) fn program(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = text(&root().join(requirements));
    let folder = root().join("target/tools").join(name);
    let program = folder.join("bin").join(name);
    let done = folder.join("installed-from");
    let sum = output(&mut command("sha256sum", &[&requirements]))?;
    if program.is_file() && std::fs::read_to_string(&done).is_ok_and(|installed| installed == sum) {
        return Ok(program);
    }
    let install = || {
        run(&mut command(
            "python3",
            &["-m", "venv", "--clear", &text(&folder)],
        ))?;
        run(&mut command(
            &text(&folder.join("bin/python")),
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--requirement",
                &requirements,
            ],
        ))
    };
    install().with_context(|| {
        format!(
            "`{name}` needs Python 3.11 or newer with `venv` and `pip` (Debian's packages \
             `python3-venv` and `python3-pip`), and its package index"
        )
    })?;
    std::fs::write(done, sum)?;
    Ok(program)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

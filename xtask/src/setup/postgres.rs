use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::debian;

/// Where Debian keeps the programs of a server, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Without this Debian's package would make a cluster and start its server.
const CREATION: &str = "/etc/postgresql-common/createcluster.d/tokensmith.conf";

/// The folder of PostgreSQL's programs: the newest one installed, else of Debian's package.
pub(crate) fn programs() -> Result<PathBuf> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    no_cluster();
    // Not on the path, but in the folder that is looked for below.
    let program = debian::program("pg_ctlcluster", "postgresql");
    installed().with_context(|| match program {
        Ok(_) => format!("package `postgresql` brought no `{DEBIAN}/*/bin/initdb`"),
        Err(error) => format!("the tests need PostgreSQL 15 or newer: {error:#}"),
    })
}

fn installed() -> Option<PathBuf> {
    newest(Path::new(DEBIAN)).or_else(on_path)
}

fn newest(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_complete(folder))
        .max()
        .map(|(_, folder)| folder)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| is_complete(folder))
}

/// Whether a folder has what the tests run.
fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "psql", "pg_isready"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

/// Says that no cluster is to be made. Where that may not be written one is made, and nobody uses
/// it.
fn no_cluster() {
    let file = Path::new(CREATION);
    if file.exists() {
        return;
    }
    let folder = file.parent().unwrap_or(file);
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(file, "create_main_cluster = false\n"));
    if let Err(error) = written {
        eprintln!("xtask: `{CREATION}`: {error}; PostgreSQL's package makes a cluster of its own");
    }
}

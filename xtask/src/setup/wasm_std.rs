use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{command, output, root, run};

const TARGET: &str = "wasm32-unknown-unknown";
/// Set to `build` to build the standard library even where a prebuilt one can be had.
const CHOICE: &str = "TOKENSMITH_WASM_STD";

/// Where the standard library for wasm32 comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WasmStd {
    /// The toolchain's own.
    Prebuilt,
    /// Built with the crate from the toolchain's sources.
    Built,
}

/// Makes the standard library for wasm32 available: the toolchain's own, else one built from
/// Debian's sources of exactly this compiler.
pub(crate) fn wasm_std() -> Result<WasmStd> {
    let sysroot = PathBuf::from(output(&mut command("rustc", &["--print", "sysroot"]))?.trim());
    if std::env::var(CHOICE).as_deref() != Ok("build") {
        if sysroot
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .exists()
        {
            return Ok(WasmStd::Prebuilt);
        }
        let added = run(&mut command(
            "timeout",
            &["120", "rustup", "target", "add", TARGET],
        ));
        match added {
            Ok(()) => return Ok(WasmStd::Prebuilt),
            Err(error) => eprintln!("xtask: {error:#}; building the standard library instead"),
        }
    }
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if !library.join("std/Cargo.toml").exists() {
        place_sources(&library).context(
            "no wasm32 standard library: `rustup target add wasm32-unknown-unknown` failed, and so \
             did Debian's package `rust-src`; either of them is needed",
        )?;
    }
    Ok(WasmStd::Built)
}

fn place_sources(library: &Path) -> Result<()> {
    let version = output(&mut command("rustc", &["--version"]))?;
    let Some(version) = version.split_whitespace().nth(1).map(str::to_owned) else {
        bail!("`rustc --version` printed `{version}`");
    };
    let scratch = root().join("target/tools/rust-src");
    for folder in ["lists/partial", "archives/partial", "unpacked"] {
        std::fs::create_dir_all(scratch.join(folder))?;
    }
    let path = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    std::fs::write(
        scratch.join("sources.list"),
        format!("deb {} trixie-backports main\n", mirror()?),
    )?;
    std::fs::write(scratch.join("status"), "")?;
    let options = [
        format!("Dir::Etc::SourceList={}", path("sources.list")),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", path("lists")),
        format!("Dir::State::status={}", path("status")),
        format!("Dir::Cache={}", path("")),
        format!("Dir::Cache::archives={}", path("archives")),
    ];
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get", &["-q"]);
        for option in &options {
            apt.args(["-o", option]);
        }
        apt.args(arguments).current_dir(&scratch);
        apt
    };
    run(&mut apt(&["update"]))?;
    let mut policy = command("apt-cache", &[]);
    for option in &options {
        policy.args(["-o", option]);
    }
    let listed = output(policy.args(["madison", "rust-src"]))?;
    let exact = listed
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|listed| listed.starts_with(&format!("{version}+")))
        .with_context(|| format!("Debian has no `rust-src` of {version}; it has `{listed}`"))?;
    run(&mut apt(&["download", &format!("rust-src={exact}")]))?;
    let package = std::fs::read_dir(&scratch)?
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("`apt-get download rust-src` left no package")?;
    run(&mut command(
        "dpkg",
        &["-x", &package.to_string_lossy(), &path("unpacked")],
    ))?;
    std::fs::remove_file(&package)?;
    let unpacked = scratch.join(format!("unpacked/usr/src/rustc-{version}/library"));
    let unpacked = unpacked.to_string_lossy();
    let parent = library
        .parent()
        .context("the sysroot has no parent folder")?;
    std::fs::create_dir_all(parent)?;
    run(&mut command(
        "cp",
        &["-r", &unpacked, &library.to_string_lossy()],
    ))
}

/// The Debian mirror this machine is set up with.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(
            entries
                .filter_map(|entry| entry.ok())
                .map(|entry| entry.path()),
        );
    }
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
        .context("no Debian mirror in /etc/apt")
}

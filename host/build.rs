//! With the feature `ui`: lists the files of the inspector, which become parts of the program.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_UI").is_none() {
        return Ok(());
    }
    let host = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut list = String::from("&[\n");
    add(&mut list, "/ui/", &host.join("ui"))?;
    add(&mut list, "/ui/verifier/", &host.join("../wasm/pkg"))?;
    list.push_str("]\n");
    let place = PathBuf::from(env::var("OUT_DIR")?).join("inspector_files.rs");
    fs::write(place, list)?;
    Ok(())
}

/// Adds a folder's files as tuples of path, ending and content.
fn add(list: &mut String, prefix: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let name = folder.display();
    println!("cargo::rerun-if-changed={name}");
    let files = files(folder).map_err(|error| {
        format!(
            "cannot read `{name}`: {error}. The feature `ui` takes the npm package into the \
             program: `cargo xtask build` makes both"
        )
    })?;
    for path in files {
        let (Some(name), Some(ending)) = (text(path.file_name()), text(path.extension())) else {
            continue;
        };
        let for_browsers = matches!(ending, "css" | "html" | "js" | "mjs" | "svg" | "wasm");
        if !for_browsers || name.ends_with("node.js") {
            continue;
        }
        let own = format!("{prefix}{name}");
        let source = text(Some(path.as_os_str()))
            .ok_or_else(|| format!("the path `{}` is not UTF-8", path.display()))?;
        writeln!(
            list,
            "    ({own:?}, {ending:?}, include_bytes!({source:?}).as_slice()),"
        )?;
    }
    Ok(())
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn text(name: Option<&OsStr>) -> Option<&str> {
    name?.to_str()
}

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wasmparser::{Imports, Parser, Payload};

use crate::command::root;

/// What Envoy gives a module of WASI.
const WASI: [&str; 9] = [
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "path_open",
    "proc_exit",
    "random_get",
];

/// Modules that import more than their hosts give are refused where they are loaded: find out
/// here.
pub(crate) fn check() -> Result<()> {
    let filter = root().join("target/wasm32-unknown-unknown/release/tokensmith_envoy.wasm");
    refuse(&filter, |module, name| match module {
        "env" => name.starts_with("proxy_"),
        "wasi_snapshot_preview1" => WASI.contains(&name),
        _ => false,
    })?;
    for own in ["engine", "policy_engine", "portable"] {
        let package = root().join(format!("wasm/pkg/{own}_bg.wasm"));
        let bindings = format!("./{own}_bg.js");
        refuse(&package, |module, name| {
            module == bindings && name.starts_with("__wb")
        })?;
    }
    Ok(())
}

fn refuse(path: &Path, allowed: impl Fn(&str, &str) -> bool) -> Result<()> {
    let name = path.display();
    let found = imports(path).with_context(|| format!("cannot read module `{name}`"))?;
    let refused: Vec<&(String, String)> = found
        .iter()
        .filter(|(module, name)| !allowed(module, name))
        .collect();
    if !refused.is_empty() {
        bail!("module `{name}` imports what its host does not have: {refused:?}");
    }
    eprintln!("xtask: `{name}`: {} imports, all allowed", found.len());
    Ok(())
}

fn imports(path: &Path) -> Result<BTreeSet<(String, String)>> {
    let bytes = std::fs::read(path)?;
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        let Payload::ImportSection(section) = payload? else {
            continue;
        };
        for group in section {
            match group? {
                Imports::Single(_, import) => {
                    found.insert((import.module.to_owned(), import.name.to_owned()));
                }
                Imports::Compact1 { .. } | Imports::Compact2 { .. } => {
                    bail!("imports in the compact form are not expected")
                }
            }
        }
    }
    Ok(found)
}

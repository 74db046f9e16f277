use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::command::{command, run};
use crate::setup;

/// What a proxy has to be able to call in the filter. The SDK exports more, which Envoy would call
/// for every response and log line, for nothing.
const EXPORTS: [&str; 13] = [
    "memory",
    "malloc",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_http_call_response",
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_delete",
];
/// What the compiler makes use of.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Leaves out of the module what nothing calls, and optimizes the rest.
pub(crate) fn keep_what_is_called(module: &Path, optimized: &str) -> Result<()> {
    let tools = setup::binaryen()?;
    let mut graph = vec![json!({"name": "proxy", "root": true, "reaches": EXPORTS})];
    graph.extend(EXPORTS.map(|name| json!({"name": name, "export": name})));
    let file = module.with_extension("callbacks.json");
    std::fs::write(&file, serde_json::Value::from(graph).to_string())?;
    let smaller = module.with_extension("smaller.wasm");
    run(command(&tools.metadce.to_string_lossy(), &FEATURES)
        .arg(module)
        .arg("--graph-file")
        .arg(&file)
        .arg("-o")
        .arg(&smaller)
        .stdout(std::process::Stdio::null()))
    .context("cannot leave out what is not called")?;
    run(command(&tools.opt.to_string_lossy(), &FEATURES)
        .args([optimized, "--strip-debug", "--strip-producers"])
        .arg(&smaller)
        .arg("-o")
        .arg(&smaller))
    .context("cannot optimize the module")?;
    // Another file in its place: cargo keeps the one that was there, under another name, too.
    std::fs::rename(&smaller, module)?;
    std::fs::remove_file(&file)?;
    Ok(())
}

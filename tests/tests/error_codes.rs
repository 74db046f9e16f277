//! docs/errors.md has every code of the source, and none that is not there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::path::PathBuf;

const SOURCES: [&str; 42] = [
    "client/src/error.rs",
    "policy-files/src/error.rs",
    "tower/src/error.rs",
    "engine/src/authz/analysis/error.rs",
    "engine/src/authz/error.rs",
    "engine/src/binding/error.rs",
    "engine/src/claims/error.rs",
    "engine/src/decide/config/error.rs",
    "engine/src/exchange/error.rs",
    "engine/src/exchange/plugin_answer.rs",
    "engine/src/jose/error.rs",
    "engine/src/oidc/error.rs",
    "engine/src/policy/bundle/error.rs",
    "engine/src/policy/bundle/follower.rs",
    "engine/src/policy/error.rs",
    "engine/src/verify/error.rs",
    "host/src/audit/error.rs",
    "host/src/break_glass/error.rs",
    "host/src/config_file/error.rs",
    "host/src/ext_authz/error.rs",
    "host/src/key_set/error.rs",
    "host/src/listener/error.rs",
    "host/src/oidc/error.rs",
    "host/src/plugins/error.rs",
    "host/src/service/clients.rs",
    "host/src/signing_key.rs",
    "host/src/store/error.rs",
    "host/src/store_import/error.rs",
    "wasm/js/errors.js",
    "wasm/js/fetching.js",
    "wasm/js/loading.js",
    "wasm/js/policy.js",
    "wasm/js/principal.js",
    "wasm/js/signature.js",
    "wasm/js/verifier.js",
    "wasm/policy/src/bundle.rs",
    "wasm/policy/src/caller.rs",
    "wasm/policy/src/policy.rs",
    "wasm/portable/src/lib.rs",
    "wasm/src/decode.rs",
    "wasm/src/refusal.rs",
    "wasm/src/verifier.rs",
];

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The strings of the arms of each `fn code`, and what JavaScript is thrown.
fn codes(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for function in source.split("pub fn code(&self)").skip(1) {
        let body = function.split("\n    }\n").next().unwrap();
        for arm in body.split("=> \"").skip(1) {
            found.insert(arm.split('"').next().unwrap().to_owned());
        }
    }
    for (start, end) in [("thrown(\"", '"'), ("VerifierError('", '\'')] {
        for call in source.split(start).skip(1) {
            found.insert(call.split(end).next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn the_table_is_the_source() {
    let source: BTreeSet<String> = SOURCES.iter().flat_map(|path| codes(&read(path))).collect();
    let table = read("docs/errors.md");
    let listed: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let documented: BTreeSet<String> = listed.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(listed.len(), documented.len(), "a code is listed twice");
    assert!(source.len() > 50, "{source:?}");
    let undocumented: Vec<_> = source.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&source).collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/errors.md: {undocumented:?}"
    );
    assert!(unknown.is_empty(), "not in the source: {unknown:?}");
}

#[test]
fn every_enum_with_codes_is_looked_at() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![
        root.join("client/src"),
        root.join("engine/src"),
        root.join("host/src"),
        root.join("policy-files/src"),
        root.join("tower/src"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path)
                .unwrap()
                .contains("pub fn code(&self)")
            {
                let known = SOURCES.iter().any(|source| path.ends_with(source));
                assert!(known, "{} is not in SOURCES", path.display());
            }
        }
    }
}

//! The manual of vulnerabilities names tests that exist.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::PathBuf;

fn sources() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![
        root.join("engine/src"),
        root.join("engine/tests"),
        root.join("tests/tests"),
    ];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn every_named_test_exists() {
    let sources = sources();
    let manual = include_str!("../../engine/src/manual.rs");
    let mut named = 0;
    for row in manual
        .lines()
        .filter(|line| line.starts_with("//! | "))
        .skip(2)
    {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let exists = match name {
                "tests/browser" => true,
                file if file.ends_with(".rs") => {
                    sources.iter().any(|(path, _)| path.ends_with(file))
                }
                function => {
                    let function = format!("fn {function}(");
                    sources.iter().any(|(_, text)| text.contains(&function))
                }
            };
            assert!(exists, "the manual names `{name}`, which is nowhere");
        }
    }
    assert!(named > 20);
}

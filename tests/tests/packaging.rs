//! The files of docs/operations that start the service: systemd takes the unit, and what they set
//! exists.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{run, tokensmith};
use tokensmith_tests::tool;

const FILES: [&str; 3] = [
    "Containerfile",
    "tokensmith.container",
    "tokensmith.service",
];
/// Exposure as `systemd-analyze security` reckons it, 0 to 100.
const MOST_EXPOSURE: &str = "15";

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/operations")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The unit with the binary under test in the place of the installed one.
fn unit(scratch: &Scratch) -> PathBuf {
    let text = read("tokensmith.service");
    assert!(text.contains("ExecStart=/usr/bin/tokensmith serve\n"));
    let binary = std::path::absolute(tool("TOKENSMITH_BIN")).unwrap();
    let text = text.replace("/usr/bin/tokensmith", &binary.display().to_string());
    scratch.write("tokensmith.service", &text)
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .unwrap_or_else(|error| panic!("`systemd-analyze` of Debian's package systemd: {error}"))
}

/// The words of a text that begin with `start` and go on with letters, digits, `-` and `_`.
fn words<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    text.split(|char: char| !char.is_ascii_alphanumeric() && char != '-' && char != '_')
        .filter(|word| word.starts_with(start) && word.len() > start.len())
        .collect()
}

#[test]
fn systemd_takes_the_unit() {
    let scratch = Scratch::new();
    let unit = unit(&scratch);
    let output = systemd_analyze(&["verify"], &unit);
    // What it does not know it names, and says that all is well.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("tokensmith.service"))
        .collect();
    assert!(output.status.success() && about.is_empty(), "{output:?}");
    let wrong = std::fs::read_to_string(&unit).unwrap() + "\n[Service]\nProtectSytem=strict\n";
    let wrong = scratch.write("wrong/tokensmith.service", &wrong);
    let output = systemd_analyze(&["verify"], &wrong);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("ProtectSytem"),
        "the check finds misspelled settings: {output:?}"
    );
}

#[test]
fn the_unit_leaves_the_service_little() {
    let scratch = Scratch::new();
    let unit = unit(&scratch);
    let arguments = ["security", "--offline=true", "--threshold", MOST_EXPOSURE];
    let output = systemd_analyze(&arguments, &unit);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_the_files_set_exists() {
    let scratch = Scratch::new();
    let help = run(tokensmith(scratch.path()).args(["serve", "--help"]));
    let help = String::from_utf8(help.stdout).unwrap();
    let mut found = 0;
    for name in FILES {
        let text = read(name);
        for start in ["TOKENSMITH_", "AUTHZ_", "OIDC_"] {
            let known = words(&help, start);
            for variable in words(&text, start) {
                assert!(
                    known.contains(&variable),
                    "{name}: no variable `{variable}`"
                );
                found += 1;
            }
        }
        let known = words(&help, "--");
        // Options of other programs stand on lines of other programs.
        for line in text.lines().filter(|line| line.contains("tokensmith")) {
            let (_, arguments) = line.split_once("tokensmith").unwrap();
            for flag in words(arguments, "--") {
                assert!(known.contains(&flag), "{name}: no flag `{flag}`");
            }
        }
    }
    assert!(found >= 6, "{found}");
}

#[test]
fn the_quadlet_is_sections_of_settings() {
    let text = read("tokensmith.container");
    let mut sections = Vec::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            sections.push(section.trim_end_matches(']'));
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, _) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphabetic()),
                "{line}"
            );
            assert!(!sections.is_empty(), "{line}");
        }
    }
    assert_eq!(sections, ["Unit", "Container", "Service", "Install"]);
}

#[test]
fn the_image_does_not_run_as_root() {
    let text = read("Containerfile");
    let last = text.rsplit("\nFROM ").next().unwrap();
    let user = last.lines().find_map(|line| line.strip_prefix("USER "));
    let user = user.and_then(|user| user.split(':').next()).unwrap();
    assert!(user.parse::<u32>().unwrap() > 0, "{user}");
    assert!(last.contains("ENTRYPOINT [\"/usr/bin/tokensmith\"]\n"));
    assert!(last.contains("CMD [\"serve\"]\n"));
}

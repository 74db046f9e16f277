//! `policy bundle`: signed, opened, and not rolled back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    missing_docs
)]

use std::process::Command;

use serde_json::{Value, json};
use tokensmith::signing_key::SigningKey;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::tokensmith;

struct Output {
    code: Option<i32>,
    text: String,
    errors: String,
}

fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    let output = tokensmith(scratch.path()).args(arguments).output().unwrap();
    Output {
        code: output.status.code(),
        text: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

fn key(scratch: &Scratch, name: &str) -> (String, Value) {
    let path = scratch.path().join(name);
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
        ])
        .arg(&path)
        .output()
        .expect("openssl makes the key");
    assert!(made.status.success());
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let jwk = SigningKey::open(&path).unwrap().jwk().to_json();
    (path.display().to_string(), jwk)
}

#[test]
fn bundles_are_signed_opened_and_never_rolled_back() {
    let scratch = Scratch::new();
    let (own, jwk) = key(&scratch, "own.pem");
    let (other, _) = key(&scratch, "other.pem");
    let jwks = scratch.write("jwks.json", &json!({"keys": [jwk]}).to_string());
    let jwks = jwks.display().to_string();
    let rules = scratch.write("site.csv", "p, role:viewer, queue, read\n");
    let rules = rules.display().to_string();
    let issuer = "https://tokensmith.test";
    let sign = |key: &str, sequence: &str, to: &str| {
        let output = scratch.path().join(to).display().to_string();
        let signed = run(
            &scratch,
            &[
                "policy",
                "bundle",
                "sign",
                "--policy",
                &rules,
                "--key-file",
                key,
                "--issuer",
                issuer,
                "--sequence",
                sequence,
                "--output",
                &output,
            ],
        );
        assert_eq!(signed.code, Some(0), "{}", signed.errors);
        output
    };
    let state = scratch.path().join("state.json").display().to_string();
    let open = |bundle: &str, more: &[&str]| {
        let mut arguments = vec![
            "policy", "bundle", "open", "--jwks", &jwks, "--issuer", issuer, "--state", &state,
        ];
        arguments.extend(more);
        arguments.push(bundle);
        let opened = run(&scratch, &arguments);
        let about: Value = serde_json::from_str(&opened.text).unwrap();
        (opened.code, about)
    };
    let (first, second) = (sign(&own, "1", "1.jws"), sign(&own, "2", "2.jws"));
    let (code, about) = open(&first, &[]);
    assert_eq!(
        (code, &about["sequence"], &about["rules"]),
        (Some(0), &json!(1), &json!(1))
    );
    let version = run(&scratch, &["policy", "version", "--policy", &rules]);
    assert_eq!(about["policy_version"], version.text.trim());
    assert_eq!(open(&second, &[]).0, Some(0));
    for (bundle, more, expected) in [
        (first.as_str(), vec![], "bundle_rollback"),
        (&sign(&other, "3", "3.jws"), vec![], "bundle_signature"),
        (&second, vec!["--now", "4000000000"], "bundle_expired"),
        (&second, vec!["--now", "1000000000"], "bundle_not_yet_valid"),
        (&rules, vec![], "bundle_malformed"),
    ] {
        let (code, about) = open(bundle, &more);
        assert_eq!((code, about["code"].as_str()), (Some(1), Some(expected)));
    }
    // What is not a policy is not signed, and nothing is left behind.
    let bad = scratch
        .write("bad.csv", "p, role:viewer, queue\n")
        .display()
        .to_string();
    let output = scratch.path().join("bad.jws").display().to_string();
    let refused = run(
        &scratch,
        &[
            "policy",
            "bundle",
            "sign",
            "--policy",
            &bad,
            "--key-file",
            &own,
            "--issuer",
            issuer,
            "--sequence",
            "9",
            "--output",
            &output,
        ],
    );
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .errors
            .contains("bad.csv:1:1: policy row needs 3 values"),
        "{}",
        refused.errors
    );
    let left = std::fs::read_dir(scratch.path()).unwrap();
    assert!(
        left.flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with("bad.jws"))
    );
}

//! Tokens for users without the service and the identity provider, and what is left on record.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

const CREATE: [&str; 11] = [
    "--enable-local-user-mint",
    "--issuer",
    "http://tokensmith.test",
    "--subject",
    "alice",
    "--audience",
    "smd",
    "--scopes",
    "admin,read",
    "--reason",
    "the provider is down",
];
const LOG: &str = "data/keys/break-glass-audit.jsonl";

fn create(folder: &Path, arguments: &[&str]) -> Output {
    run(tokensmith(folder)
        .args(["user-token", "create"])
        .args(arguments))
}

fn keys(folder: &Path) -> String {
    let output = run(tokensmith(folder).args(["keys", "rotate"]));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    CREATE.iter().chain(arguments).copied().collect()
}

#[test]
fn a_token_is_made_without_the_service_and_verifies_with_its_keys() {
    let scratch = Scratch::new();
    let kid = keys(scratch.path());
    let output = create(scratch.path(), &with(&["--key-dir", "data/keys"]));
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    assert!(!token.ends_with('\n'), "a pipe gets the bare token");
    let service = Service::start(scratch.path(), &[]).unwrap();
    let (code, verified) = service.verify("smd", &token);
    assert_eq!(code, Some(0), "{verified}");
    assert_eq!(verified["kid"], kid.as_str());
    let claims = &verified["claims"];
    assert_eq!(
        claims["auth_methods"],
        json!(["local_user_mint", "operator_attested"])
    );
    assert_eq!(claims["auth_events"], json!(["local_user_token_mint"]));
    assert_eq!(claims["scope"], json!(["admin", "read"]));
    assert_eq!(claims["break_glass_reason"], "the provider is down");
    let session = claims["session_id"].as_str().unwrap();
    assert!(session.starts_with("local-"));
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 15 * 60);
    assert_eq!(claims["session_exp"], claims["exp"]);

    let path = scratch.path().join(LOG);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(&token), "the log has no token");
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(record["prev"], "0".repeat(64));
    assert_eq!(record["event"], "local_user_token");
    assert_eq!(record["subject"], claims["sub"]);
    assert_eq!(record["jti"], claims["jti"]);
    for (name, claim) in [
        ("exp", "exp"),
        ("scope", "scope"),
        ("reason", "break_glass_reason"),
    ] {
        assert_eq!(record["about"][name], claims[claim], "{name}");
    }
    assert_eq!(record["kid"], kid.as_str());
    assert!(record["about"]["operator"]["uid"].is_u64(), "{record}");
    // It is a log as the service's, and goes on as one.
    create(scratch.path(), &with(&["--key-dir", "data/keys"]));
    let checked = run(tokensmith(scratch.path()).args(["audit", "verify", LOG]));
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && text.contains('2'), "{text}");
}

#[test]
fn what_is_not_meant_or_not_explained_is_refused() {
    let scratch = Scratch::new();
    keys(scratch.path());
    let all = with(&["--key-dir", "data/keys"]);
    let without = |flag: &str, values: usize| -> Vec<&str> {
        let at = all.iter().position(|argument| *argument == flag).unwrap();
        let rest = all.iter().enumerate();
        rest.filter(|(index, _)| !(at..=at + values).contains(index))
            .map(|(_, argument)| *argument)
            .collect()
    };
    let changed = |from: &str, to: &'static str| -> Vec<&str> {
        all.iter()
            .map(|argument| if *argument == from { to } else { *argument })
            .collect()
    };
    let cases = [
        (
            without("--enable-local-user-mint", 0),
            "--enable-local-user-mint",
        ),
        (without("--reason", 1), "--reason"),
        (without("--scopes", 1), "--scopes"),
        (without("--subject", 1), "--subject"),
        (without("--key-dir", 1), "--key-file"),
        (changed("the provider is down", "  "), "`--reason`"),
        (changed("alice", "a\u{7}"), "`--subject`"),
        (with(&["--key-dir", "data/keys", "--ttl", "61m"]), "`--ttl`"),
        (with(&["--key-dir", "data/keys", "--ttl", "0s"]), "`--ttl`"),
        (
            with(&["--key-dir", "data/keys", "--key-file", "x"]),
            "--key-file",
        ),
    ];
    for (arguments, message) in cases {
        let output = create(scratch.path(), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(!scratch.path().join(LOG).exists());
}

#[test]
fn without_a_record_there_is_no_token() {
    let scratch = Scratch::new();
    keys(scratch.path());
    std::fs::create_dir(scratch.path().join("folder")).unwrap();
    for log in ["folder", "missing/log", "data/keys/keys.json/log"] {
        let output = create(
            scratch.path(),
            &with(&["--key-dir", "data/keys", "--audit-log", log]),
        );
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(output.stdout.is_empty(), "{log}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            errors.contains(log) && errors.contains("no token"),
            "{errors}"
        );
    }
    // Nor is there a key made where there is none.
    let output = create(scratch.path(), &with(&["--key-dir", "elsewhere"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(!scratch.path().join("elsewhere").exists());
}

#[test]
fn a_drill_leaves_nothing_behind_and_finds_a_changed_log() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let drill = || run(tokensmith(folder).args(["breakglass", "drill"]));
    let output = drill();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("[FAIL] the signing key"), "{text}");
    assert!(
        text.contains("[ok  ] a token is made and verifies"),
        "{text}"
    );
    assert!(!folder.join("data").exists());

    let kid = keys(folder);
    let files = || {
        let names = std::fs::read_dir(folder.join("data/keys")).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    let output = drill();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.matches("[ok  ]").count(), 4, "{text}");
    assert!(text.contains(&kid), "{text}");
    assert_eq!(files(), before);

    for _ in 0..3 {
        let output = create(folder, &with(&["--key-dir", "data/keys"]));
        assert!(output.status.success(), "{output:?}");
    }
    let text = String::from_utf8(drill().stdout).unwrap();
    assert!(text.contains("3 records"), "{text}");
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let changed = log.replacen("alice", "mallory", 1);
    std::fs::write(folder.join(LOG), changed).unwrap();
    let output = drill();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("[FAIL] the audit log is whole: line 2: "),
        "{text}"
    );
}

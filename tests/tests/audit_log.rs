//! The audit log of the real service, and its check on the command line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

const LOG: &str = "audit.jsonl";
const AUDITED: [&str; 2] = ["--audit-log", LOG];
const CREATE: [&str; 6] = [
    "--subject",
    "boot-service",
    "--audience",
    "smd",
    "--audit-log",
    LOG,
];

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(LOG)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

fn write_lines(folder: &Path, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join("altered.jsonl"), text).unwrap();
}

fn verify(folder: &Path, arguments: &[&str]) -> Output {
    run(tokensmith(folder).args(["audit", "verify"]).args(arguments))
}

/// Exit code and JSON of a check.
fn verdict(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = verify(folder, &arguments);
    let answer =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"));
    (output.status.code(), answer)
}

/// A log of seven events; answers with the tokens that were in play.
fn seven_events(folder: &Path) -> Vec<String> {
    let service = Service::start(folder, &AUDITED).unwrap();
    let token = service.bootstrap_token(&CREATE);
    let first = service.redeem(&token).json();
    let second = service.refresh(text(&first, "refresh_token")).json();
    assert_eq!(service.redeem(&token).status, 400);
    assert_eq!(service.refresh("guess").status, 400);
    let access = text(&second, "access_token");
    assert_eq!(
        service.form("/oauth/revoke", &[("token", access)]).status,
        200
    );
    // A second time nothing is revoked.
    assert_eq!(
        service.form("/oauth/revoke", &[("token", access)]).status,
        200
    );
    assert_eq!(service.refresh(text(&first, "refresh_token")).status, 400);
    let mut tokens = vec![token];
    for answer in [&first, &second] {
        for name in ["access_token", "refresh_token"] {
            tokens.push(text(answer, name).to_owned());
        }
    }
    tokens
}

#[test]
fn each_event_is_a_line_and_no_line_has_a_token() {
    let scratch = Scratch::new();
    let tokens = seven_events(scratch.path());
    let lines = lines(scratch.path());
    let parsed: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<(&str, &str, &str, &str)> = parsed
        .iter()
        .map(|line| {
            let of = |name| text(line, name);
            (of("event"), of("outcome"), of("code"), of("subject"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("bootstrap_create", "done", "ok", "boot-service"),
            ("issue", "done", "ok", "boot-service"),
            ("refresh", "done", "ok", "boot-service"),
            ("replay", "refused", "grant_redeemed", ""),
            ("denied", "refused", "grant_unknown", ""),
            ("revoke", "done", "ok", "boot-service"),
            ("replay", "refused", "grant_replayed", ""),
        ]
    );
    for (index, line) in parsed.iter().enumerate() {
        assert_eq!(line["seq"], index + 1);
        assert!(!text(line, "request_id").is_empty());
    }
    assert_eq!(parsed[0]["client"], "local");
    assert_eq!(parsed[1]["client"], "127.0.0.1");
    assert_eq!(parsed[0]["prev"], "0".repeat(64));
    assert!(!text(&parsed[1], "kid").is_empty());
    assert_eq!(parsed[2]["jti"], parsed[5]["jti"]);
    for token in &tokens {
        // Not the signature either.
        let part = token.rsplit('.').next().unwrap();
        assert!(lines.iter().all(|line| !line.contains(part)), "{token}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(scratch.path().join(LOG)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o077, 0);
}

#[test]
fn whatever_is_done_to_the_lines_is_found() {
    let scratch = Scratch::new();
    seven_events(scratch.path());
    let whole = lines(scratch.path());
    let (code, answer) = verdict(scratch.path(), &[LOG]);
    assert_eq!(
        (code, &answer["lines"]),
        (Some(0), &Value::from(7)),
        "{answer}"
    );
    let head = text(&answer, "head").to_owned();
    let human = verify(scratch.path(), &[LOG]);
    assert!(String::from_utf8_lossy(&human.stdout).contains(&head));

    let altered = |index: usize| {
        let mut lines = whole.clone();
        lines[index] = lines[index].replace("\"client\":\"", "\"client\":\"x");
        lines
    };
    let without = |index: usize| {
        let mut lines = whole.clone();
        lines.remove(index);
        lines
    };
    let mut swapped = whole.clone();
    swapped.swap(2, 3);
    let mut doubled = whole.clone();
    doubled.insert(3, whole[2].clone());
    let mut foreign = whole.clone();
    foreign[4] = "{}".to_owned();
    for (lines, line, code) in [
        (altered(0), 2, "audit_prev_mismatch"),
        (altered(5), 7, "audit_prev_mismatch"),
        (without(0), 1, "audit_sequence"),
        (without(3), 4, "audit_sequence"),
        (swapped, 3, "audit_sequence"),
        (doubled, 4, "audit_sequence"),
        (foreign, 5, "audit_line_malformed"),
    ] {
        write_lines(scratch.path(), &lines);
        let (exit, answer) = verdict(scratch.path(), &["altered.jsonl"]);
        assert_eq!(exit, Some(1), "{answer}");
        assert_eq!(answer["valid"], false);
        assert_eq!(
            (&answer["line"], &answer["code"]),
            (&Value::from(line), &Value::from(code)),
            "{answer}"
        );
        let human = verify(scratch.path(), &["altered.jsonl"]);
        assert_eq!(human.status.code(), Some(1));
        let said = String::from_utf8_lossy(&human.stdout).into_owned();
        assert!(said.contains(&format!("line {line}: ")), "{said}");
    }
    // The end of a chain can only be told by a digest that was kept.
    for lines in [altered(6), without(6)] {
        write_lines(scratch.path(), &lines);
        assert_eq!(verdict(scratch.path(), &["altered.jsonl"]).0, Some(0));
        let (exit, answer) = verdict(scratch.path(), &["altered.jsonl", "--head", &head]);
        assert_eq!(
            (exit, &answer["code"]),
            (Some(1), &Value::from("audit_head_missing"))
        );
    }
    assert_eq!(verdict(scratch.path(), &[LOG, "--head", &head]).0, Some(0));
    assert_eq!(
        verify(scratch.path(), &["missing.jsonl"]).status.code(),
        Some(2)
    );
    let wrong = verify(scratch.path(), &[LOG, "--head", "x"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn the_chain_goes_on_after_a_restart_and_beside_another_process() {
    let scratch = Scratch::new();
    for _ in 0..2 {
        let service = Service::start(scratch.path(), &AUDITED).unwrap();
        let tokens: Vec<String> = (0..4).map(|_| service.bootstrap_token(&CREATE)).collect();
        let service = &service;
        std::thread::scope(|scope| {
            for token in &tokens {
                scope.spawn(move || assert_eq!(service.redeem(token).status, 200));
                scope.spawn(move || service.bootstrap_token(&CREATE));
            }
        });
    }
    let (code, answer) = verdict(scratch.path(), &[LOG]);
    assert_eq!(
        (code, &answer["lines"]),
        (Some(0), &Value::from(24)),
        "{answer}"
    );
}

#[test]
fn a_cut_line_is_named_with_what_to_do() {
    let scratch = Scratch::new();
    seven_events(scratch.path());
    let log = scratch.path().join(LOG);
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() - 10]).unwrap();
    let (code, answer) = verdict(scratch.path(), &[LOG]);
    assert_eq!(
        (code, &answer["line"], &answer["code"]),
        (Some(1), &Value::from(7), &Value::from("audit_cut"))
    );
    let whole = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let message = Service::start(scratch.path(), &AUDITED).unwrap_err();
    let fix = format!("truncate -s {whole} {LOG}");
    assert!(message.contains(&fix), "{message}");
    let mut command = std::process::Command::new("sh");
    command.current_dir(scratch.path()).args(["-c", &fix]);
    assert!(run(&mut command).status.success());
    let service = Service::start(scratch.path(), &AUDITED).unwrap();
    assert_eq!(service.redeem("guess").status, 400);
    drop(service);
    let (code, answer) = verdict(scratch.path(), &[LOG]);
    assert_eq!(
        (code, &answer["lines"]),
        (Some(0), &Value::from(7)),
        "{answer}"
    );
}

#[test]
fn what_cannot_be_audited_is_not_issued() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &["--audit-log", "/dev/full"]).unwrap();
    let token = service.bootstrap_token(&CREATE);
    let refused = service.redeem(&token);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["code"], "audit_unavailable");
    assert!(refused.json()["access_token"].is_null());
    assert!(refused.header("retry-after").is_some());
    // Who is refused anyway is refused for the same reason.
    assert_eq!(service.redeem("guess").status, 400);
    drop(service);
    let service = Service::start(scratch.path(), &AUDITED).unwrap();
    let answer = service.redeem(&token);
    assert_eq!(answer.status, 200, "nothing was used up: {answer:?}");
    let made = run(tokensmith(scratch.path())
        .args(["bootstrap-token", "create", "--audit-log", "/dev/full"])
        .args(&CREATE[..4]));
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    assert!(made.stdout.is_empty(), "no token without its line");
}

//! The stores of the Go release, taken over into the store of the real service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest;
use serde_json::{Value, json};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tests::tokens::now;

const DAY: i64 = 24 * 3600;
/// Where the service under test has its store.
const STORE: &str = "data/bootstrap-tokens/tokensmith.db";
const FRESH: &str = "2f00000000000000000000000000000000000000000000000000000000000001";
const USED: &str = "2f00000000000000000000000000000000000000000000000000000000000002";
const OLD: &str = "2f00000000000000000000000000000000000000000000000000000000000003";
const BEFORE: &str = "2f00000000000000000000000000000000000000000000000000000000000004";
const LIVE: &str = "7a00000000000000000000000000000000000000000000000000000000000001";
const REVOKED: &str = "7a00000000000000000000000000000000000000000000000000000000000002";
const ACCESS_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib290LXNlcnZpY2UifQ.c2lnbmF0dXJl";

fn digest_of(token: &str) -> String {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// As Go writes a time of a machine two hours east of Greenwich.
fn time(seconds: i64) -> String {
    let local = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds + 2 * 3600).unwrap());
    let text = humantime::format_rfc3339_seconds(local).to_string();
    text.replace('Z', ".123456789+02:00")
}

/// A bootstrap token of the newer releases.
fn bootstrap(token: &str, expires_at: i64) -> Value {
    json!({
        "id": "bt-1767315845123456789",
        "subject": "boot-service",
        "audience": "smd",
        "scopes": ["read", "nodes:read"],
        "ttl": 600_000_000_000_i64,
        "refresh_ttl": 86_400_000_000_000_i64,
        "token_hash": digest_of(token),
        "created_at": time(expires_at - 600),
        "expires_at": time(expires_at),
    })
}

/// A refresh family of the newer releases, rotated twice.
fn family(id: &str, token: &str) -> Value {
    json!({
        "family_id": id,
        "current_token_hash": digest_of(token),
        "subject": "boot-service",
        "audience": "smd",
        "scopes": ["read", "nodes:read"],
        "issued_at": time(now() - 3600),
        "expires_at": time(now() + DAY - 3600),
        "last_used_at": time(now() - 60),
        "usage_count": 2,
    })
}

fn put(scratch: &Scratch, folder: &str, record: &Value) {
    let name = ["token_hash", "TokenHash", "family_id", "FamilyID"]
        .iter()
        .find_map(|name| record[*name].as_str())
        .unwrap();
    scratch.write(&format!("{folder}/{name}.json"), &format!("{record:#}"));
}

fn with(mut record: Value, member: &str, value: impl Into<Value>) -> Value {
    record[member] = value.into();
    record
}

/// The stores of both kinds, with a record in each state.
fn old_stores(scratch: &Scratch) {
    let soon = now() + 600;
    put(scratch, "go/bootstrap", &bootstrap(FRESH, soon));
    let used = with(bootstrap(USED, soon), "consumed_at", time(now() - 5));
    let used = with(used, "consumed_by_ip", "10.1.2.3:4567");
    let used = with(used, "issued_access_token_id", ACCESS_TOKEN);
    let used = with(used, "issued_refresh_token_id", "family-1");
    put(scratch, "go/bootstrap", &used);
    put(scratch, "go/bootstrap", &bootstrap(OLD, now() - 5));
    put(
        scratch,
        "go/bootstrap",
        &json!({
            "ID": "bt-1", "Subject": "boot-service", "Audience": "smd", "Scopes": null,
            "TTL": 600_000_000_000_i64, "RefreshTTL": 3_600_000_000_000_i64,
            "TokenHash": digest_of(BEFORE), "CreatedAt": time(now()), "ExpiresAt": time(soon),
            "ConsumedAt": null, "ConsumedByIP": "", "ReplayAttempts": null,
            "BindingIdentifier": "pod-1", "IssuedAccessTokenID": "", "IssuedRefreshTokenID": "",
        }),
    );
    scratch.write("go/bootstrap/notes.txt", "not a record");
    put(scratch, "go/refresh", &family("family-1", LIVE));
    let revoked = with(family("family-2", REVOKED), "revoked_at", time(now() - 5));
    put(scratch, "go/refresh", &revoked);
}

/// Exit code and answer of an import.
fn import(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(tokensmith(folder)
        .args(["store", "import", "--format", "json"])
        .args(["--bootstrap", "go/bootstrap", "--refresh", "go/refresh"])
        .args(arguments));
    let answer =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"));
    (output.status.code(), answer)
}

fn counts(imported: u64, present: u64, closed: u64, expired: u64) -> Value {
    json!({"imported": imported, "present": present, "closed": closed, "expired": expired})
}

#[test]
fn what_was_usable_is_and_what_was_used_is_not() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    let (code, answer) = import(scratch.path(), &[]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["done"], true);
    assert_eq!(answer["bootstrap_tokens"], counts(3, 0, 0, 1));
    assert_eq!(answer["refresh_families"], counts(2, 0, 0, 0));

    let service = Service::start(scratch.path(), &[]).unwrap();
    let redeemed = service.redeem(FRESH);
    assert_eq!(redeemed.status, 200, "{redeemed:?}");
    let granted = redeemed.json();
    assert_eq!(granted["scope"], "read nodes:read");
    let (code, verified) = service.verify("smd", granted["access_token"].as_str().unwrap());
    assert_eq!(code, Some(0), "{verified}");
    assert_eq!(verified["principal"]["id"], "boot-service");
    assert_eq!(verified["principal"]["roles"], json!(["service"]));
    assert_eq!(service.redeem(BEFORE).status, 200, "the older spelling");
    for refused in [service.redeem(USED), service.refresh(REVOKED)] {
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (400, &json!("invalid_grant"))
        );
    }

    let rotated = service.refresh(LIVE);
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let next = rotated.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(service.refresh(LIVE).status, 400, "used once already");
    let owner = service.refresh(&next);
    assert_eq!(
        (owner.status, &owner.json()["error"]),
        (400, &json!("invalid_grant")),
        "the replay revoked the family"
    );

    // What happened here since is not undone by the files.
    let (code, answer) = import(scratch.path(), &[]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["bootstrap_tokens"], counts(0, 3, 0, 1));
    assert_eq!(answer["refresh_families"], counts(0, 2, 0, 0));
    drop(service);
    let service = Service::start(scratch.path(), &[]).unwrap();
    // The fifth failure of this address; a sixth would have to wait.
    assert_eq!(service.redeem(FRESH).status, 400);
    drop(service);
    for entry in std::fs::read_dir(scratch.path().join("data/bootstrap-tokens")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [ACCESS_TOKEN, FRESH, LIVE] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in the store");
        }
    }
}

#[test]
fn an_imported_family_ends_when_it_would_have() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    let soon = with(family("family-1", LIVE), "expires_at", time(now() + 100));
    put(&scratch, "go/refresh", &soon);
    assert_eq!(import(scratch.path(), &[]).0, Some(0));
    let service = Service::start(scratch.path(), &[]).unwrap();
    let rotated = service.refresh(LIVE);
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let left = rotated.json()["refresh_expires_in"].as_i64().unwrap();
    assert!((1..=100).contains(&left), "{left}");
}

#[test]
fn one_bad_file_and_nothing_is_imported() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    let place = format!("go/bootstrap/{}.json", digest_of(USED));
    let place = place.as_str();
    let cases = [
        (place, "{\"id\": \"bt-7\", ".to_owned(), "store_record_json"),
        (
            place,
            with(bootstrap(USED, now() + 60), "expires_at", "soon").to_string(),
            "store_record_member",
        ),
        (
            place,
            with(bootstrap(USED, now() + 60), "claims", json!({})).to_string(),
            "store_record_member",
        ),
        (
            place,
            bootstrap(FRESH, now() + 60).to_string(),
            "store_record_name",
        ),
        (
            place,
            format!("\"{}\"", "x".repeat(300_000)),
            "store_record_size",
        ),
        (
            "go/refresh/family-1 (copy).json",
            family("family-1", LIVE).to_string(),
            "store_record_name",
        ),
        (
            "go/refresh/family-9.json",
            family("family-9", LIVE).to_string(),
            "store_record_twice",
        ),
    ];
    for (file, text, code) in cases {
        let whole = std::fs::read_to_string(scratch.path().join(file)).ok();
        scratch.write(file, &text);
        let (exit, answer) = import(scratch.path(), &[]);
        assert_eq!(exit, Some(1), "{answer}");
        assert_eq!(answer["done"], false);
        let refused = &answer["refused"][0];
        assert_eq!(
            (&refused["code"], &refused["file"]),
            (&json!(code), &json!(file))
        );
        assert!(
            !scratch.path().join("data").exists(),
            "{file}: a store was made"
        );
        match whole {
            Some(whole) => drop(scratch.write(file, &whole)),
            None => std::fs::remove_file(scratch.path().join(file)).unwrap(),
        }
    }
    let output = run(tokensmith(scratch.path()).args(["store", "import", "--bootstrap", "none"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("`none`"));
    let output = run(tokensmith(scratch.path()).args(["store", "import"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_dry_run_says_what_would_be_and_makes_nothing() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    let (code, answer) = import(scratch.path(), &["--dry-run"]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(
        (&answer["done"], &answer["dry_run"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(answer["bootstrap_tokens"], counts(3, 0, 0, 1));
    assert!(!scratch.path().join("data").exists());
    assert_eq!(import(scratch.path(), &[]).0, Some(0));
    let (_, answer) = import(scratch.path(), &["--dry-run"]);
    assert_eq!(answer["bootstrap_tokens"], counts(0, 3, 0, 1));
    let output = run(tokensmith(scratch.path()).args([
        "store",
        "import",
        "--dry-run",
        "--refresh",
        "go/refresh/family-1.json",
    ]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("refresh families: 0 imported, 1 already there"),
        "{text}"
    );
    assert!(text.contains("nothing was changed"), "{text}");
}

#[test]
fn a_later_import_closes_what_was_used_in_the_old_place() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    assert_eq!(import(scratch.path(), &[]).0, Some(0));
    let used = with(bootstrap(FRESH, now() + 600), "consumed_at", time(now()));
    put(&scratch, "go/bootstrap", &used);
    let revoked = with(family("family-1", LIVE), "revoked_at", time(now()));
    put(&scratch, "go/refresh", &revoked);
    let (code, answer) = import(scratch.path(), &[]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["bootstrap_tokens"], counts(0, 2, 1, 1));
    assert_eq!(answer["refresh_families"], counts(0, 1, 1, 0));
    let service = Service::start(scratch.path(), &[]).unwrap();
    assert_eq!(service.redeem(FRESH).status, 400);
    assert_eq!(service.refresh(LIVE).status, 400);
}

#[test]
fn a_family_that_went_on_in_the_old_place_is_a_conflict() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    assert_eq!(import(scratch.path(), &[]).0, Some(0));
    put(
        &scratch,
        "go/refresh",
        &family("family-1", "its next token"),
    );
    put(
        &scratch,
        "go/bootstrap",
        &bootstrap("a-new-token", now() + 600),
    );
    let (code, answer) = import(scratch.path(), &[]);
    assert_eq!(
        (code, &answer["done"]),
        (Some(1), &json!(false)),
        "{answer}"
    );
    assert_eq!(answer["refused"][0]["code"], "store_record_moved_on");
    let service = Service::start(scratch.path(), &[]).unwrap();
    assert_eq!(
        service.redeem("a-new-token").status,
        400,
        "nothing was imported"
    );
    assert_eq!(service.redeem(OLD).status, 400, "expired, so left out");
    assert_eq!(service.refresh(LIVE).status, 200, "and nothing taken back");
}

#[test]
fn an_import_is_on_the_record() {
    let scratch = Scratch::new();
    old_stores(&scratch);
    for _ in 0..2 {
        assert_eq!(
            import(scratch.path(), &["--audit-log", "audit.jsonl"]).0,
            Some(0)
        );
    }
    let text = std::fs::read_to_string(scratch.path().join("audit.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1, "the second changed nothing");
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(record["event"], "store_import");
    assert_eq!(record["about"]["bootstrap_tokens"]["imported"], 3);
    assert_eq!(record["about"]["refresh_families"]["from"], "go/refresh");
    let checked = run(tokensmith(scratch.path()).args(["audit", "verify", "audit.jsonl"]));
    assert!(checked.status.success(), "{checked:?}");
    // What cannot be recorded is not done.
    let scratch = Scratch::new();
    old_stores(&scratch);
    let output = run(tokensmith(scratch.path())
        .args(["store", "import", "--bootstrap", "go/bootstrap"])
        .args(["--audit-log", "no/such/folder/audit.jsonl"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let service = Service::start(scratch.path(), &[]).unwrap();
    assert_eq!(service.redeem(FRESH).status, 400);
}

#[test]
fn check_and_migrate_tell_what_the_store_is() {
    let scratch = Scratch::new();
    let store = |arguments: &[&str]| run(tokensmith(scratch.path()).arg("store").args(arguments));
    let output = store(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(STORE),
        "{output:?}"
    );
    assert!(
        !scratch.path().join(STORE).exists(),
        "a check makes nothing"
    );
    let output = store(&["migrate"]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("was 0"),
        "{output:?}"
    );
    old_stores(&scratch);
    assert_eq!(import(scratch.path(), &[]).0, Some(0));
    let output = store(&["check", "--format", "json"]);
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["version"], found["known_version"]);
    assert_eq!(found["rows"]["bootstrap_tokens"], 3);
    assert_eq!(found["rows"]["refresh_families"], 2);
    assert_eq!(found["faults"], json!([]));
    scratch.write(STORE, "not a database");
    assert_eq!(store(&["check"]).status.code(), Some(1));
}

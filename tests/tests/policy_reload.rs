//! The policy follows its files, and a bad one changes nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokensmith::policy_files::PolicyPaths;
use tokensmith::policy_reload::{PolicyHandle, PolicyOrigin, Reload, watch};
use tokensmith_engine::policy::BASELINE_MODEL;
use tokensmith_tests::scratch::Scratch;

fn in_folder(scratch: &Scratch) -> PolicyHandle {
    PolicyHandle::load(PolicyOrigin::Folder(scratch.path().join("policy"))).unwrap()
}

/// Waits at most ten seconds.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen in time");
}

#[test]
fn a_bad_policy_leaves_the_former_one_in_use() {
    let scratch = Scratch::new();
    scratch.write("policy/a.csv", "p, a, b, c\n");
    let policy = in_folder(&scratch);
    let first = policy.version();
    assert_eq!((policy.loads(), policy.failures()), (1, 0));
    assert_eq!(policy.check().unwrap(), Reload::Unchanged);

    scratch.write("policy/a.csv", "p, a, b, d\n");
    let held = policy.current();
    assert_eq!(policy.check().unwrap(), Reload::Loaded);
    let second = policy.version();
    assert_ne!(second, first);
    assert_eq!(held.policy_version(), first, "a decision keeps its policy");

    scratch.write("policy/b.csv", "# ours\np, a, b\n");
    let error = policy.check().unwrap_err();
    let failure = policy.last_error().unwrap();
    assert_eq!(
        (failure.code, failure.message),
        (error.code(), error.to_string())
    );
    assert!(error.to_string().contains("b.csv:2:"), "{error}");
    assert_eq!(policy.version(), second);
    // What was refused is not tried at each look, but when it is asked for.
    assert_eq!(policy.check().unwrap(), Reload::StillRefused);
    assert_eq!(policy.failures(), 1);
    assert!(policy.last_error().is_some());
    assert!(policy.reload().is_err());
    assert_eq!(policy.failures(), 2);

    fs::write(scratch.path().join("policy/b.csv"), b"\xff").unwrap();
    assert_eq!(policy.check().unwrap_err().code(), "policy_file_encoding");
    fs::remove_file(scratch.path().join("policy/b.csv")).unwrap();
    assert_eq!(policy.check().unwrap(), Reload::Unchanged);
    assert_eq!(policy.last_error(), None);
    assert_eq!((policy.loads(), policy.failures()), (2, 3));

    scratch.write("policy/c.csv", "p, x, y, z\n");
    assert_eq!(policy.reload().unwrap(), Reload::Loaded);
    assert!(policy.loaded_at() > 1_700_000_000);
}

#[test]
fn a_model_may_come_and_go() {
    let scratch = Scratch::new();
    scratch.write("policy/a.csv", "p, a, b, c\n");
    let policy = in_folder(&scratch);
    let with_baseline = policy.version();
    scratch.write("policy/model.conf", BASELINE_MODEL);
    assert_eq!(policy.check().unwrap(), Reload::Loaded);
    assert_ne!(policy.version(), with_baseline);
    fs::remove_file(scratch.path().join("policy/model.conf")).unwrap();
    assert_eq!(policy.check().unwrap(), Reload::Loaded);
    assert_eq!(policy.version(), with_baseline);
}

#[test]
fn there_is_no_start_without_a_policy() {
    let scratch = Scratch::new();
    let missing = PolicyOrigin::Folder(scratch.path().join("missing"));
    assert_eq!(
        PolicyHandle::load(missing).unwrap_err().code(),
        "policy_file_read"
    );
    let paths = PolicyPaths {
        rules: vec![scratch.write("a.csv", "p, a\n")],
        ..PolicyPaths::default()
    };
    let error = PolicyHandle::load(PolicyOrigin::Paths(paths)).unwrap_err();
    assert_eq!(error.code(), "policy_syntax");
}

#[tokio::test]
async fn a_config_map_that_changes_is_followed() {
    let scratch = Scratch::new();
    let volume = scratch.path().join("policy");
    scratch.write("policy/..2024_01/rbac.csv", "p, a, b, c\n");
    symlink("..2024_01", volume.join("..data")).unwrap();
    symlink("..data/rbac.csv", volume.join("rbac.csv")).unwrap();
    let policy = Arc::new(in_folder(&scratch));
    let first = policy.version();
    let watching = watch(Arc::clone(&policy), Duration::from_millis(100));

    scratch.write("policy/..2024_02/rbac.csv", "p, a, b\n");
    symlink("..2024_02", volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    fs::remove_dir_all(volume.join("..2024_01")).unwrap();
    until(|| policy.last_error().is_some()).await;
    assert_eq!(policy.version(), first);

    scratch.write("policy/..2024_03/rbac.csv", "p, a, b, d\n");
    symlink("..2024_03", volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    fs::remove_dir_all(volume.join("..2024_02")).unwrap();
    until(|| policy.version() != first).await;
    until(|| policy.last_error().is_none()).await;
    watching.abort();
}

#[tokio::test]
async fn a_hangup_loads_at_once() {
    let scratch = Scratch::new();
    scratch.write("policy/a.csv", "p, a, b, c\n");
    let policy = Arc::new(in_folder(&scratch));
    let first = policy.version();
    let watching = watch(Arc::clone(&policy), Duration::from_secs(3600));
    scratch.write("policy/a.csv", "p, a, b, d\n");
    let kill = format!("kill -HUP {}", std::process::id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success());
    until(|| policy.version() != first).await;
    watching.abort();
}

//! Signing keys change under a running service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tests::tokens::now;

const MANIFEST: &str = "data/keys/keys.json";

fn keys(folder: &Path, arguments: &[&str]) -> String {
    let output = run(tokensmith(folder).arg("keys").args(arguments));
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The states of the keys, in the order in which they were made.
fn states(folder: &Path) -> Vec<String> {
    let list: Value = serde_json::from_str(&keys(folder, &["list", "--json"])).unwrap();
    let keys = list["keys"].as_array().unwrap().clone();
    keys.iter()
        .map(|key| key["state"].as_str().unwrap().to_owned())
        .collect()
}

/// Makes the keys older, as if that time had passed.
fn let_pass(folder: &Path, seconds: i64) {
    let path = folder.join(MANIFEST);
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for key in manifest["keys"].as_array_mut().unwrap() {
        for name in ["published", "signs_from", "retired", "withdrawn"] {
            if let Some(time) = key.get(name).and_then(Value::as_i64) {
                key[name] = json!((time - seconds).max(0));
            }
        }
    }
    let draft = path.with_extension("draft");
    std::fs::write(&draft, manifest.to_string()).unwrap();
    std::fs::rename(draft, path).unwrap();
}

fn published(service: &Service) -> Vec<String> {
    let jwks = service.get("/.well-known/jwks.json").json();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the service publishes `count` keys.
fn wait_for(service: &Service, count: usize) -> Vec<String> {
    wait_until(service, |kids| kids.len() == count)
}

fn wait_until(service: &Service, expected: impl Fn(&[String]) -> bool) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let kids = published(service);
        if expected(&kids) {
            return kids;
        }
        assert!(Instant::now() < deadline, "{kids:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A new token and the `kid` it is signed with.
fn token(service: &Service) -> (String, String) {
    let bootstrap = service.bootstrap_token(&["--subject", "s", "--audience", "smd"]);
    let answer = service.redeem(&bootstrap).json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let (code, verified) = service.verify("smd", &token);
    assert_eq!(code, Some(0), "{verified}");
    (token, verified["kid"].as_str().unwrap().to_owned())
}

#[test]
fn keys_are_published_before_they_sign_and_stay_until_their_tokens_ended() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let service = Service::start(folder, &[]).unwrap();
    let (old_token, old) = token(&service);
    let etag = |service: &Service| {
        let response = service.get("/.well-known/jwks.json");
        response.header("etag").unwrap().to_owned()
    };
    let first_etag = etag(&service);

    let new = keys(folder, &["rotate", "--alg", "EdDSA"]);
    service.hang_up();
    assert_eq!(wait_for(&service, 2), [old.clone(), new.clone()]);
    assert_ne!(etag(&service), first_etag);
    assert_eq!(states(folder), ["signing", "published"]);
    assert_eq!(token(&service).1, old, "the new key is not known yet");

    let_pass(folder, 601);
    service.hang_up();
    let deadline = Instant::now() + Duration::from_secs(20);
    let (new_token, _) = loop {
        let (token, kid) = token(&service);
        if kid == new {
            break (token, kid);
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(states(folder), ["retired", "signing"]);
    assert_eq!(published(&service).len(), 2);
    assert_eq!(service.verify("smd", &old_token).0, Some(0));

    let_pass(folder, 3_660);
    service.hang_up();
    assert_eq!(wait_for(&service, 1), [new]);
    assert_eq!(service.verify("smd", &new_token).0, Some(0));
    let (code, refused) = service.verify("smd", &old_token);
    assert_eq!((code, &refused["code"]), (Some(1), &json!("kid_unknown")));

    let pem = |suffix: &str| {
        let names = std::fs::read_dir(folder.join("data/keys")).unwrap();
        names
            .filter(|name| {
                let name = name.as_ref().unwrap().file_name();
                name.to_str().unwrap().ends_with(suffix)
            })
            .count()
    };
    assert_eq!(keys(folder, &["prune"]), old);
    assert_eq!((pem(".pem"), pem(".retired")), (1, 0));
}

#[test]
fn no_request_fails_while_keys_change() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let (_, first) = token(&service);
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        let new = keys(
            scratch.path(),
            &["rotate", "--now", "--rsa-bits", "2048", "--alg", algorithm],
        );
        service.hang_up();
        let deadline = Instant::now() + Duration::from_secs(20);
        // Each token verifies with the set that is served when it is made.
        while token(&service).1 != new {
            assert!(Instant::now() < deadline);
        }
    }
    assert_eq!(wait_for(&service, 5)[0], first);
}

#[test]
fn a_key_that_others_have_goes_at_once() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let service = Service::start(folder, &[]).unwrap();
    let (stolen, old) = token(&service);
    let refused = run(tokensmith(folder).args(["keys", "retire", "--at-once", &old]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("keys rotate --now"),
        "{refused:?}"
    );
    let new = run(tokensmith(folder).args(["keys", "rotate", "--now"]));
    assert!(String::from_utf8_lossy(&new.stderr).contains("warning"));
    keys(folder, &["retire", "--at-once", &old]);
    service.hang_up();
    let new = String::from_utf8(new.stdout).unwrap().trim().to_owned();
    wait_until(&service, |kids| kids == [new.as_str()]);
    assert_eq!(service.verify("smd", &stolen).0, Some(1));
    assert_eq!(states(folder), ["withdrawn", "signing"]);
}

#[test]
fn two_processes_on_one_folder_make_one_key() {
    let scratch = Scratch::new();
    let shared = scratch.path().join("keys");
    let shared = shared.to_str().unwrap();
    let start = |name: &str| {
        let folder = scratch.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Service::start(&folder, &["--key-dir", shared, "--rotate-every", "24h"]).unwrap()
    };
    // Both find no folder, and one makes it and its key.
    let services: Vec<Service> = std::thread::scope(|scope| {
        let starting = [scope.spawn(|| start("a")), scope.spawn(|| start("b"))];
        starting.map(|thread| thread.join().unwrap()).into()
    });
    let first = published(&services[0]);
    assert_eq!(first.len(), 1);
    assert_eq!(published(&services[1]), first);
    drop(services);

    // A day later both find that a key is due.
    let folder = Path::new(shared);
    let name = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .unwrap();
    let yesterday = format!("{:012}-es256.pem", now() - 24 * 3600);
    std::fs::rename(name, folder.join(yesterday)).unwrap();
    let services = ["a", "b"].map(start);
    for service in &services {
        assert_eq!(published(service), first);
        service.hang_up();
    }
    let kids = services.each_ref().map(|service| wait_for(service, 2));
    assert_eq!(kids[0], kids[1]);
    assert_eq!(kids[0][0], first[0]);
    // Whoever comes later finds that none is due.
    for service in &services {
        service.hang_up();
    }
    std::thread::sleep(Duration::from_millis(500));
    for service in &services {
        assert_eq!(published(service), kids[0]);
        assert_eq!(token(service).1, first[0], "published, and not signing yet");
    }
}

#[test]
fn keys_of_the_operator_are_imported() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let service = Service::start(folder, &[]).unwrap();
    assert_eq!(published(&service).len(), 1);
    for (count, (algorithm, arguments)) in [
        ("ES256", vec!["ecparam", "-name", "prime256v1", "-genkey"]),
        ("RS256", vec!["genrsa", "-traditional", "2048"]),
        ("PS256", vec!["genrsa", "2048"]),
        ("EdDSA", vec!["genpkey", "-algorithm", "ed25519"]),
    ]
    .into_iter()
    .enumerate()
    {
        let made = run(std::process::Command::new("openssl").args(&arguments));
        assert!(made.status.success(), "{made:?}");
        let file = folder.join("import.pem");
        std::fs::write(&file, &made.stdout).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let refused = run(tokensmith(folder).args(["keys", "import", "import.pem"]));
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(errors.contains("chmod 600 import.pem"), "{errors}");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        let kid = keys(
            folder,
            &["import", "import.pem", "--now", "--alg", algorithm],
        );
        service.hang_up();
        assert_eq!(wait_for(&service, count + 2)[count + 1], kid);
        let (signed, own) = token(&service);
        assert_eq!(own, kid);
        assert_eq!(service.verify("smd", &signed).1["alg"], algorithm);
    }
}

#[test]
fn commands_for_keys_say_what_is_wrong() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let long = "x".repeat(43);
    for arguments in [vec!["list"], vec!["prune"], vec!["retire", &long]] {
        let output = run(tokensmith(folder).arg("keys").args(&arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("data/keys"), "{errors}");
        assert!(!folder.join("data").exists(), "{arguments:?} made a folder");
    }
    let first = keys(folder, &["rotate"]);
    assert_eq!(states(folder), ["signing"], "the first one signs at once");
    let output = run(tokensmith(folder).args(["keys", "retire", &long]));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&long));
    let text = keys(folder, &["list"]);
    assert!(text.starts_with(&first) && text.contains("ES256"), "{text}");
    let output = run(tokensmith(folder).args(["keys", "rotate", "--alg", "HS256"]));
    assert_eq!(output.status.code(), Some(2));
    let output = run(tokensmith(folder)
        .args(["serve", "--port", "0", "--listen-address", "127.0.0.1"])
        .args(["--rotate-every", "10s"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`--rotate-every`"));
}

//! The service client at the real token service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokensmith_client::{
    CertificateFiles, ClientError, Credential, Environment, Schedule, Secret, ServiceClient,
    Settings,
};
use tokensmith_tests::certificates::{Certificates, TlsService};
use tokensmith_tests::ports::free_port;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::Service;

const CREATE: [&str; 8] = [
    "--subject",
    "power",
    "--audience",
    "smd,bss",
    "--scopes",
    "read,write",
    "--roles",
    "service",
];
const SECOND: Duration = Duration::from_secs(1);

/// Quick waits, so that nobody waits for tests.
fn quick() -> Schedule {
    Schedule {
        first_wait: Duration::from_millis(100),
        longest_wait: Duration::from_millis(400),
        ..Schedule::default()
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn settings(service: &Service, file: &Path) -> Settings {
    let bootstrap = Secret::new(service.bootstrap_token(&CREATE));
    Settings::new(url(service.port), Credential::BootstrapToken(bootstrap))
        .refresh_file(file)
        .schedule(quick())
}

/// A clock that a test sets forward.
fn clock() -> (Environment, Arc<AtomicI64>) {
    let ahead = Arc::new(AtomicI64::new(0));
    let seconds = Arc::clone(&ahead);
    let environment = Environment {
        now: Arc::new(move || {
            SystemTime::now() + SECOND * u32::try_from(seconds.load(Ordering::Relaxed)).unwrap()
        }),
        random: Arc::new(|| 0),
    };
    (environment, ahead)
}

fn stored(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_token_becomes_tokens_that_are_renewed_and_kept() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let file = scratch.path().join("refresh-token");
    let settings = settings(&service, &file).audience(["smd"]).scopes(["read"]);
    let client = ServiceClient::start(settings).await.unwrap();
    let token = client.token().unwrap();
    assert_eq!(token.scope(), "read");
    let (code, verified) = service.verify("smd", token.expose());
    assert_eq!(code, Some(0), "{verified}");
    assert_eq!(verified["claims"]["aud"], serde_json::json!(["smd"]));
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let first = stored(&file)["refresh_token"].clone();

    let mut tokens = client.subscribe();
    tokens.mark_unchanged();
    let (one, other) = tokio::join!(client.renew(), client.renew());
    one.unwrap();
    other.unwrap();
    assert_eq!(client.status().renewals, 2, "both share one exchange");
    assert!(tokens.has_changed().unwrap());
    assert_ne!(client.token().unwrap().expose(), token.expose());
    assert_ne!(stored(&file)["refresh_token"], first);
    let request = client
        .authorize(reqwest::Client::new().get("http://smd.test/"))
        .unwrap()
        .build()
        .unwrap();
    let expected = format!("Bearer {}", client.token().unwrap().expose());
    assert_eq!(request.headers()["authorization"], expected.as_str());
    let shown = format!("{client:?} {:?} {request:?}", client.token());
    assert!(!shown.contains(client.token().unwrap().expose()), "{shown}");

    client.shutdown().await;
    assert_eq!(client.token().unwrap_err(), ClientError::Closed);
    assert!(tokens.borrow().is_none());
    drop(client);

    // The next process goes on with what is in the file, and needs no bootstrap token.
    let settings = Settings::new(url(service.port), Credential::Stored).refresh_file(&file);
    let client = ServiceClient::start(settings).await.unwrap();
    assert_eq!(
        service.verify("bss", client.token().unwrap().expose()).0,
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_restarted_is_found_again() {
    let scratch = Scratch::new();
    let port = free_port();
    let serve = || Service::start_at(scratch.path(), port, &[]);
    let service = serve().unwrap();
    let (environment, ahead) = clock();
    let settings = settings(&service, &scratch.path().join("refresh-token"));
    let client = ServiceClient::start(settings.environment(environment))
        .await
        .unwrap();
    let first = client.token().unwrap();
    drop(service);
    let down = client.renew().await.unwrap_err();
    assert_eq!(down.code(), "client_unreachable", "{down}");
    assert_eq!(
        client.token().unwrap().expose(),
        first.expose(),
        "it is still good"
    );
    ahead.store(3600, Ordering::Relaxed);
    let ended = client.token().unwrap_err();
    assert_eq!(ended.code(), "client_no_token", "{ended}");
    assert!(ended.to_string().contains("cannot reach"), "{ended}");
    ahead.store(0, Ordering::Relaxed);

    let _service = serve().unwrap();
    client.renew().await.unwrap();
    assert_ne!(client.token().unwrap().expose(), first.expose());
    let status = client.status();
    assert_eq!((status.renewals, status.failures), (2, 1));
    assert!(status.last_error.is_none() && !status.ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_by_themselves_also_after_a_restart() {
    let scratch = Scratch::new();
    let port = free_port();
    let serve = || Service::start_at(scratch.path(), port, &["--token-lifetime", "6s"]);
    let service = serve().unwrap();
    let file = scratch.path().join("refresh-token");
    let client = ServiceClient::start(settings(&service, &file))
        .await
        .unwrap();
    let first = client.token().unwrap();
    let mut tokens = client.subscribe();
    tokens.mark_unchanged();
    let mut next = async || {
        let changed = tokio::time::timeout(Duration::from_secs(20), tokens.changed());
        changed.await.unwrap().unwrap();
        tokens.borrow_and_update().clone()
    };
    let second = next().await.unwrap();
    assert_ne!(second.expose(), first.expose());
    assert!(second.expires_at() > first.expires_at());

    // It is down until the token has ended, and subscribers learn that.
    drop(service);
    assert!(next().await.is_none());
    assert_eq!(client.token().unwrap_err().code(), "client_no_token");
    let _service = serve().unwrap();
    assert!(next().await.is_some());
    client.token().unwrap();

    // With the last client its task ends, and lets go of the file.
    drop((client, next));
    let again = Settings::new(url(port), Credential::Stored).refresh_file(&file);
    let end = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        match ServiceClient::start(again.clone()).await {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.code(), "client_refresh_file_in_use", "{error}");
                assert!(std::time::Instant::now() < end);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_somebody_else_used_ends_the_family() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let file = scratch.path().join("refresh-token");
    let client = ServiceClient::start(settings(&service, &file))
        .await
        .unwrap();
    let stolen = stored(&file)["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(service.refresh(&stolen).status, 200);
    let refused = client.renew().await.unwrap_err();
    assert_eq!(refused, ClientError::RefreshRefused);
    assert!(refused.is_final());
    assert!(client.status().ended);
    assert!(client.token().is_ok(), "the access token has its own end");
    assert!(!file.exists(), "what is of no use is not kept");
    // Again: the bootstrap token is used up.
    assert!(client.renew().await.unwrap_err().is_final());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_become_a_token_says_so() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let bootstrap = |token: &str| Credential::BootstrapToken(Secret::new(token));
    let used = service.bootstrap_token(&CREATE);
    assert_eq!(service.redeem(&used).status, 200);
    let cases = [
        (
            Settings::new(url(service.port), bootstrap(&used)),
            "client_bootstrap_refused",
        ),
        (
            Settings::new(url(free_port()), bootstrap("x")),
            "client_unreachable",
        ),
        (
            Settings::new("tokensmith", bootstrap("x")),
            "client_setting",
        ),
        (
            Settings::new(url(service.port), Credential::Stored)
                .refresh_file(scratch.path().join("nothing")),
            "client_setting",
        ),
        (
            Settings::new(url(service.port), bootstrap("x"))
                .refresh_file(scratch.path().join("no/folder/file")),
            "client_refresh_file",
        ),
    ];
    for (settings, code) in cases {
        let settings = settings.schedule(Schedule {
            start_attempts: 2,
            ..quick()
        });
        let error = ServiceClient::start(settings).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_brings_sessions_that_are_bound_to_it() {
    let site = Certificates::new();
    site.write(
        "site.toml",
        "[[service_identities]]\nname = \"power\"\naudience = [\"bss\"]\n",
    );
    site.issue("power", "ca", "power", "");
    let service = TlsService::start(&site, &["--config", "site.toml"]).unwrap();
    let path = |name: &str| site.path().join(name);
    let credential = Credential::Certificate(CertificateFiles {
        certificate: path("power.pem"),
        key: path("power.key"),
    });
    let settings = Settings::new(
        format!("https://127.0.0.1:{}", service.service.port),
        credential,
    )
    .authorities(path("ca.pem"))
    .schedule(quick());
    let client = ServiceClient::start(settings).await.unwrap();
    let bound = |token: &str| {
        let (code, verified) = service.verify("bss", Some("power"), token);
        assert_eq!(code, Some(0), "{verified}");
        verified["claims"]["cnf"]["x5t#S256"].clone()
    };
    let first = site.thumbprint("power");
    assert_eq!(bound(client.token().unwrap().expose()), first.as_str());
    client.renew().await.unwrap();
    assert_eq!(bound(client.token().unwrap().expose()), first.as_str());

    // A certificate that was renewed begins a new session.
    site.issue("power", "ca", "power", "");
    let second = site.thumbprint("power");
    assert_ne!(first, second);
    client.renew().await.unwrap();
    assert_eq!(bound(client.token().unwrap().expose()), second.as_str());
    assert_eq!(client.status().failures, 0);
}

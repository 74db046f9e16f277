//! Services that get their tokens for their certificates, at the real service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_tests::certificates::{Certificates, TlsService};
use tokensmith_tests::http::Response;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{BOOTSTRAP_TOKEN, Service, TOKEN_EXCHANGE, run, tokensmith};

const SESSION: &str = "/service-identity/session";
const HYPHENATED: &str = "urn:ietf:params:oauth:token-type:access-token";
const CONFIG: [&str; 2] = ["--config", "site.toml"];
const IDENTITIES: &str = r#"
[[service_identities]]
name = "smd"
audience = ["bss", "hsm"]
scopes = ["read", "nodes:read"]
roles = ["service", "inventory"]
refresh_ttl = 3600
session_ttl = 7200

[[service_identities]]
name = "bss.site.test"
subject = "bss"
audience = ["smd"]

[[service_identities]]
name = "spiffe://site.test/power"
audience = ["smd"]
refresh_ttl = 7200
session_ttl = 1800

[[service_identities]]
name = "short"
audience = ["smd"]
session_ttl = 3

[[service_identities]]
name = "loose"
audience = ["smd"]
certificate_bound = false
"#;

/// A site with certificates: file, common name, alternative names.
fn site(issued: &[(&str, &str, &str)]) -> Certificates {
    let certificates = Certificates::new();
    certificates.write("site.toml", IDENTITIES);
    for (file, common_name, names) in issued {
        certificates.issue(file, "ca", common_name, names);
    }
    certificates
}

fn session(service: &TlsService, certificate: &str) -> Value {
    let response = service.post(Some(certificate), SESSION, &[]);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    response.json()
}

fn refresh(service: &TlsService, certificate: Option<&str>, answer: &Value) -> Response {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(answer, "refresh_token")),
    ];
    service.post(certificate, "/oauth/token", &form)
}

fn refreshed(service: &TlsService, certificate: Option<&str>, answer: &Value) -> Value {
    let response = refresh(service, certificate, answer);
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn not_granted(response: &Response) {
    let body = response.json();
    assert_eq!(
        (response.status, &body["error"]),
        (400, &json!("invalid_grant")),
        "{response:?}"
    );
}

/// The claims of an answer's access token, which is good with the certificate.
fn claims(
    service: &TlsService,
    audience: &str,
    certificate: Option<&str>,
    answer: &Value,
) -> Value {
    let (code, verified) = service.verify(audience, certificate, text(answer, "access_token"));
    assert_eq!(code, Some(0), "{verified}");
    verified["claims"].clone()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

#[test]
fn any_name_of_a_certificate_brings_the_tokens_that_are_configured_for_it() {
    let site = site(&[
        ("by-cn", "smd", ""),
        ("by-dns", "host-7", "DNS:host-7.test,DNS:bss.site.test"),
        (
            "by-uri",
            "host-8",
            "DNS:host-8.test,URI:spiffe://site.test/power",
        ),
    ]);
    let service = TlsService::start(&site, &CONFIG).unwrap();
    for (file, subject, audiences, scopes, roles, refresh_seconds) in [
        (
            "by-cn",
            "smd",
            json!(["bss", "hsm"]),
            json!(["read", "nodes:read"]),
            json!(["service", "inventory"]),
            3600,
        ),
        (
            "by-dns",
            "bss",
            json!(["smd"]),
            Value::Null,
            json!(["service"]),
            86_400,
        ),
        (
            "by-uri",
            "spiffe://site.test/power",
            json!(["smd"]),
            Value::Null,
            json!(["service"]),
            1800,
        ),
    ] {
        let answer = session(&service, file);
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(answer["issued_token_type"], HYPHENATED);
        assert_eq!(answer["refresh_expires_in"], refresh_seconds, "{file}");
        let seconds = answer["expires_in"].as_i64().unwrap();
        assert!((3590..=3600).contains(&seconds), "{seconds}");
        let written = scopes.as_array().map(|_| json!("read nodes:read"));
        assert_eq!(answer["scope"], written.unwrap_or_default(), "{file}");

        let audience = audiences[0].as_str().unwrap();
        let claims = claims(&service, audience, Some(file), &answer);
        assert_eq!(claims["iss"], service.service.issuer);
        assert_eq!(claims["sub"], subject);
        assert_eq!(claims["aud"], audiences, "{file}");
        assert_eq!(claims["scope"], scopes, "{file}");
        assert_eq!(claims["roles"], roles, "{file}");
        assert_eq!(claims["principal_type"], "service");
        assert_eq!(claims["auth_methods"], json!(["mtls"]));
        assert_eq!(claims["auth_events"], json!(["service_identity_session"]));
        let thumbprint = site.thumbprint(file);
        assert_eq!(claims["cnf"], json!({"x5t#S256": thumbprint}));

        let token = text(&answer, "access_token");
        let other = if file == "by-cn" { "by-dns" } else { "by-cn" };
        for (shown, code) in [
            (None, "certificate_missing"),
            (Some(other), "certificate_mismatch"),
        ] {
            let (exit, refused) = service.verify(audience, shown, token);
            assert_eq!(
                (exit, &refused["code"]),
                (Some(1), &json!(code)),
                "{refused}"
            );
        }
    }
}

#[test]
fn a_refresh_token_is_good_with_its_certificate_only() {
    let site = site(&[("smd", "smd", ""), ("renewed", "smd", "")]);
    let service = TlsService::start(&site, &CONFIG).unwrap();
    let first = session(&service, "smd");
    not_granted(&refresh(&service, Some("renewed"), &first));
    not_granted(&refresh(&service, None, &first));
    let second = refreshed(&service, Some("smd"), &first);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let before = claims(&service, "bss", Some("smd"), &first);
    let after = claims(&service, "bss", Some("smd"), &second);
    for name in ["sub", "aud", "scope", "roles", "cnf", "session_id"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_ne!(after["jti"], before["jti"]);

    // Who has a used token without the certificate ends nothing.
    not_granted(&refresh(&service, None, &first));
    not_granted(&refresh(&service, Some("renewed"), &first));
    let third = refreshed(&service, Some("smd"), &second);
    not_granted(&refresh(&service, Some("smd"), &first));
    not_granted(&refresh(&service, Some("smd"), &third));
    // A new session is a new family, for a renewed certificate too.
    let renewed = session(&service, "renewed");
    let renewed = refreshed(&service, Some("renewed"), &renewed);
    let claims = claims(&service, "bss", Some("renewed"), &renewed);
    let thumbprint = site.thumbprint("renewed");
    assert_eq!(claims["cnf"], json!({"x5t#S256": thumbprint}));
}

#[test]
fn a_session_ends_however_often_its_tokens_are_used() {
    let site = site(&[("short", "short", "")]);
    let service = TlsService::start(&site, &CONFIG).unwrap();
    let first = session(&service, "short");
    assert_eq!(first["refresh_expires_in"], 3);
    let second = refreshed(&service, Some("short"), &first);
    let left = second["refresh_expires_in"].as_i64().unwrap();
    assert!((1..=3).contains(&left), "{left}");
    sleep(Duration::from_secs(4));
    not_granted(&refresh(&service, Some("short"), &second));
    session(&service, "short");
}

#[test]
fn tokens_for_programs_that_show_their_certificate_once() {
    let site = site(&[("loose", "loose", "")]);
    let service = TlsService::start(&site, &CONFIG).unwrap();
    let first = session(&service, "loose");
    let second = refreshed(&service, None, &first);
    for answer in [&first, &second] {
        let claims = claims(&service, "smd", None, answer);
        assert_eq!(claims["sub"], "loose");
        assert_eq!(claims["auth_methods"], json!(["mtls"]));
        assert!(claims["cnf"].is_null(), "{claims}");
    }
    not_granted(&refresh(&service, None, &first));
    not_granted(&refresh(&service, Some("loose"), &second));
}

#[test]
fn what_the_newest_bootstrap_token_grants_is_for_its_common_name() {
    let site = site(&[
        ("legacy", "legacy", ""),
        ("alias", "host-9", "DNS:legacy,URI:legacy"),
        ("smd", "smd", ""),
    ]);
    let service = TlsService::start(&site, &CONFIG).unwrap();
    let create = |subject: &str, scopes: &str, refresh_ttl: &str| {
        service.service.bootstrap_token(&[
            "--subject",
            subject,
            "--audience",
            "hsm",
            "--scopes",
            scopes,
            "--roles",
            "service,old",
            "--refresh-ttl",
            refresh_ttl,
        ])
    };
    create("smd", "admin", "1h");
    create("legacy", "read", "1h");
    // They are dated in seconds.
    sleep(Duration::from_millis(1100));
    let newest = create("legacy", "read,write", "30m");

    let answer = session(&service, "legacy");
    assert_eq!(answer["refresh_expires_in"], 1800);
    let of_legacy = claims(&service, "hsm", None, &answer);
    assert_eq!(of_legacy["sub"], "legacy");
    assert_eq!(of_legacy["scope"], json!(["read", "write"]));
    assert_eq!(of_legacy["roles"], json!(["service", "old"]));
    assert!(of_legacy["cnf"].is_null(), "as existing clients need it");
    refreshed(&service, None, &answer);
    let refused = service.post(Some("alias"), SESSION, &[]);
    assert_eq!(refused.status, 403, "{refused:?}");
    let configured = session(&service, "smd");
    let of_smd = claims(&service, "bss", Some("smd"), &configured);
    assert_eq!(of_smd["scope"], json!(["read", "nodes:read"]));

    // The bootstrap token itself is as good as before, and the session afterwards too.
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token_type", BOOTSTRAP_TOKEN),
        ("subject_token", newest.as_str()),
    ];
    let redeemed = service.post(None, "/oauth/token", &form);
    assert_eq!(redeemed.status, 200, "{redeemed:?}");
    let of_token = claims(&service, "hsm", None, &redeemed.json());
    assert!(of_token["cnf"].is_null(), "{of_token}");
    session(&service, "legacy");
}

#[test]
fn who_gets_nothing() {
    let site = site(&[("unknown", "unknown", "DNS:a.smd,URI:spiffe://site.test")]);
    site.authority("other-ca");
    site.issue("stranger", "other-ca", "smd", "");
    let service = TlsService::start(&site, &CONFIG).unwrap();
    for (certificate, status, code) in [
        (None, 401, "client_certificate_missing"),
        (Some("unknown"), 403, "service_identity_unknown"),
    ] {
        let response = service.post(certificate, SESSION, &[]);
        let body = response.json();
        assert_eq!(
            (response.status, &body["error"], &body["code"]),
            (status, &json!("invalid_client"), &json!(code)),
            "{response:?}"
        );
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    let error = service
        .try_post(Some("stranger"), SESSION, &[])
        .unwrap_err();
    assert!(!error.is_empty());

    let scratch = Scratch::new();
    scratch.write("site.toml", IDENTITIES);
    let service = Service::start(scratch.path(), &CONFIG).unwrap();
    let response = service.form(SESSION, &[]);
    let body = response.json();
    assert_eq!(
        (response.status, &body["error"], &body["code"]),
        (
            503,
            &json!("server_error"),
            &json!("service_identity_unconfigured")
        ),
        "{response:?}"
    );
}

#[test]
fn sessions_are_in_the_audit_log() {
    let site = site(&[("smd", "smd", ""), ("unknown", "unknown", "")]);
    let arguments = [&CONFIG[..], &["--audit-log", "audit.jsonl"]].concat();
    let service = TlsService::start(&site, &arguments).unwrap();
    let first = session(&service, "smd");
    assert_eq!(service.post(Some("unknown"), SESSION, &[]).status, 403);
    not_granted(&refresh(&service, None, &first));
    let second = refreshed(&service, Some("smd"), &first);
    not_granted(&refresh(&service, Some("smd"), &first));

    let log = std::fs::read_to_string(site.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<[&str; 4]> = lines
        .iter()
        .map(|line| ["event", "outcome", "code", "subject"].map(|name| text(line, name)))
        .collect();
    assert_eq!(
        told,
        [
            ["issue", "done", "ok", "smd"],
            ["denied", "refused", "service_identity_unknown", ""],
            ["denied", "refused", "grant_bound", ""],
            ["refresh", "done", "ok", "smd"],
            ["replay", "refused", "grant_replayed", ""],
        ]
    );
    assert_eq!(lines[0]["client"], "10.0.0.0");
    for (answer, line) in [(&first, &lines[0]), (&second, &lines[3])] {
        let claims = claims(&service, "bss", Some("smd"), answer);
        assert_eq!(line["jti"], claims["jti"]);
        for name in ["access_token", "refresh_token"] {
            let part = text(answer, name).rsplit('.').next().unwrap();
            assert!(!log.contains(part), "{name}");
        }
    }
    let checked = run(tokensmith(site.path()).args(["audit", "verify", "audit.jsonl"]));
    assert!(checked.status.success(), "{checked:?}");
}

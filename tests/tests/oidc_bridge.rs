//! Tokens of a real OpenID provider in every form, and providers that take each other's place
//! while the service runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

/// With the client's id as credentials, of a length that has no padding in base64.
const SECRET: &str = "bridge-key";
const RESOURCE: &str = "https://api.site.example";

fn start(scratch: &Scratch, oidc: &OidcProvider, arguments: &[&str], secret: &str) -> Service {
    let mut all = vec![
        "--oidc-issuer",
        oidc.issuer.as_str(),
        "--oidc-client-id",
        oidc.client_id.as_str(),
    ];
    all.extend(arguments);
    let environment = [("OIDC_CLIENT_SECRET", secret)];
    Service::start_with_environment(scratch.path(), &all, &environment).unwrap()
}

fn config(scratch: &Scratch, oidc: &Value) -> String {
    let text = json!({"oidc": oidc}).to_string();
    let path = scratch.write("config.json", &text);
    path.to_str().unwrap().to_owned()
}

fn refusal(response: &Response) -> (u16, String) {
    let code = response.json()["code"]
        .as_str()
        .unwrap_or("none")
        .to_owned();
    (response.status, code)
}

fn claims(service: &Service, response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    let token = response.json()["access_token"].as_str().unwrap().to_owned();
    let (code, verified) = service.verify("openchami", &token);
    assert_eq!(code, Some(0), "{verified}");
    verified["claims"].clone()
}

/// Tries until it is so: what has to happen by itself, in a bounded time.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn opaque_access_tokens_are_asked_about() {
    let oidc = OidcProvider::start_with(&["--client-secret", SECRET]);
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], SECRET);
    let tokens = oidc.tokens("bob");
    assert!(!tokens.access_token.contains('.'), "{tokens:?}");
    let made = claims(&service, &service.exchange(&tokens.access_token, ""));
    assert_eq!(made["sub"], "bob");
    assert_eq!(made["roles"], json!(["viewer"]));
    assert_eq!(made["session_id"], "idp-bob");
    let made = claims(&service, &service.exchange(&tokens.id_token, ""));
    assert_eq!(made["sub"], "bob", "ID tokens are good too");

    oidc.revoke(&tokens.access_token);
    let inactive = (401, "token_inactive".to_owned());
    eventually("a revoked token is refused", || {
        refusal(&service.exchange(&tokens.access_token, "")) == inactive
    });
    // Whoever guesses is kept from guessing on; who has a signed token is not.
    eventually("guessing ends", || {
        service.exchange("made-up", "").status == 429
    });
    assert_eq!(service.exchange(&tokens.id_token, "").status, 200);
}

#[test]
fn without_the_clients_secret_nobody_can_be_asked() {
    let oidc = OidcProvider::start_with(&["--client-secret", SECRET]);
    let token = oidc.tokens("bob").access_token;
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], "another-key");
    assert_eq!(
        refusal(&service.exchange(&token, "")),
        (503, "introspection_refused".to_owned())
    );
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], "");
    assert_eq!(
        refusal(&service.exchange(&token, "")),
        (401, "token_malformed".to_owned())
    );
}

#[test]
fn access_tokens_that_are_jwts_need_an_audience_of_ours() {
    let oidc = OidcProvider::start_with(&["--resource", RESOURCE]);
    let tokens = oidc.tokens("carol");
    let scratch = Scratch::new();
    let audiences = config(&scratch, &json!({"access_token_audiences": [RESOURCE]}));
    let service = start(&scratch, &oidc, &["--config", &audiences], "");
    for token in [&tokens.access_token, &tokens.id_token] {
        let made = claims(&service, &service.exchange(token, ""));
        assert_eq!(
            (&made["sub"], &made["roles"]),
            (&json!("carol"), &json!(["operator"]))
        );
    }
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], "");
    assert_eq!(
        refusal(&service.exchange(&tokens.access_token, "")),
        (401, "audience_mismatch".to_owned())
    );
}

#[test]
fn a_bare_provider_needs_a_mapping() {
    let oidc = OidcProvider::start_with(&["--bare"]);
    let token = oidc.login("alice");
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], "");
    assert_eq!(
        refusal(&service.exchange(&token, "")),
        (401, "claim_missing".to_owned())
    );
    let scratch = Scratch::new();
    let mapping = config(
        &scratch,
        &json!({
            "preset": "oidc-provider",
            "auth_level": [{"claim": "acr", "map": {"urn:site:loa:2": "AAL2"}}],
            "session_exp": [{"seconds": 1800, "from": "auth_time"}],
        }),
    );
    let service = start(&scratch, &oidc, &["--config", &mapping], "");
    let made = claims(&service, &service.exchange(&token, ""));
    assert_eq!(made["sub"], "alice");
    assert_eq!(made["roles"], json!(["admin"]));
    assert_eq!(
        (&made["auth_level"], &made["auth_factors"]),
        (&json!("AAL2"), &json!(2))
    );
    assert_eq!(made["auth_methods"], json!(["pwd", "otp", "mfa"]));
    let session = made["session_exp"].as_i64().unwrap() - made["iat"].as_i64().unwrap();
    assert!((1700..=1800).contains(&session), "{session}");
    assert_eq!(made["exp"], made["session_exp"]);
}

#[test]
fn a_mapping_with_a_mistake_keeps_the_service_from_starting() {
    let scratch = Scratch::new();
    for (mapping, place) in [
        (json!({"preset": "okta"}), "okta"),
        (json!({"auth_levels": []}), "auth_levels"),
        (
            json!({"auth_level": [{"count_of": "amr"}]}),
            "auth_level[0]",
        ),
    ] {
        let path = config(&scratch, &mapping);
        let error = Service::start(scratch.path(), &["--config", &path]).unwrap_err();
        assert!(error.contains(place), "{mapping}: {error}");
    }
}

#[test]
fn rotated_keys_are_found() {
    let oidc = OidcProvider::start();
    let scratch = Scratch::new();
    let service = start(&scratch, &oidc, &[], "");
    let former = oidc.login("bob");
    assert_eq!(service.exchange(&former, "").status, 200);
    oidc.rotate_keys();
    let token = oidc.login("bob");
    eventually("the new keys are fetched", || {
        service.exchange(&token, "").status == 200
    });
    assert_eq!(
        refusal(&service.exchange(&former, "")),
        (401, "kid_unknown".to_owned())
    );
}

/// A service with an admin listener, and its folder.
struct Administered {
    scratch: Scratch,
    service: Option<Service>,
}

impl Administered {
    fn start(arguments: &[&str]) -> Self {
        let mut own = Self {
            scratch: Scratch::new(),
            service: None,
        };
        own.restart(arguments);
        own
    }

    fn restart(&mut self, arguments: &[&str]) {
        self.service = None;
        let admin = self.admin();
        let mut all = vec![
            "--admin-listen",
            admin.as_str(),
            "--audit-log",
            "audit.jsonl",
        ];
        all.extend(arguments);
        self.service = Some(Service::start(self.scratch.path(), &all).unwrap());
    }

    fn admin(&self) -> String {
        format!("unix:{}/admin.sock", self.scratch.path().display())
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// The exit code of `tokensmith oidc`, and its JSON or its message.
    fn command(&self, arguments: &[&str]) -> (i32, Value) {
        let output = run(tokensmith(self.scratch.path())
            .arg("oidc")
            .args(arguments)
            .args(["--url", &self.admin()]));
        let code = output.status.code().unwrap();
        let answer = match code {
            0 => serde_json::from_slice(&output.stdout).unwrap(),
            _ => String::from_utf8(output.stderr).unwrap().into(),
        };
        (code, answer)
    }

    fn configure(&self, oidc: &OidcProvider, flags: &[&str]) -> (i32, Value) {
        let mut arguments = vec![
            "configure",
            "--issuer-url",
            oidc.issuer.as_str(),
            "--client-id",
            oidc.client_id.as_str(),
        ];
        arguments.extend(flags);
        self.command(&arguments)
    }

    fn in_use(&self) -> Value {
        let (code, answer) = self.command(&["status"]);
        assert_eq!(code, 0, "{answer}");
        let health = self.service().get("/health").json();
        assert_eq!(health["oidc_issuer"], answer["oidc"]["issuer_url"]);
        answer
    }

    fn audited(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.path().join("audit.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["event"] == "oidc_configure")
            .collect()
    }
}

#[test]
fn a_provider_is_configured_and_replaced_while_the_service_runs() {
    let (one, two) = (OidcProvider::start(), OidcProvider::start());
    let mut own = Administered::start(&[]);
    let (token_one, token_two) = (one.login("bob"), two.login("carol"));
    assert_eq!(
        own.in_use(),
        json!({
            "status": "not_configured",
            "oidc": {
                "configured": false, "issuer_url": "", "client_id": "",
                "local_user_mint_enabled": false,
            },
        })
    );
    let (code, answer) = own.configure(&one, &["--dry-run"]);
    assert_eq!((code, &answer["status"]), (0, &json!("would_create")));
    assert_eq!(
        refusal(&own.service().exchange(&token_one, "")),
        (503, "oidc_not_configured".to_owned())
    );
    let (code, answer) = own.configure(&one, &[]);
    assert_eq!(
        (code, &answer),
        (
            0,
            &json!({
                "status": "created",
                "oidc": {
                    "configured": true, "issuer_url": one.issuer, "client_id": one.client_id,
                    "local_user_mint_enabled": false,
                },
            })
        )
    );
    assert_eq!(own.service().exchange(&token_one, "").status, 200);

    // Another one only when that is said, and only when it is good.
    let (code, message) = own.configure(&two, &[]);
    assert_eq!(code, 1);
    assert!(
        message.as_str().unwrap().contains("oidc_exists"),
        "{message}"
    );
    let (code, answer) = own.configure(&two, &["--dry-run", "--replace-existing"]);
    assert_eq!((code, &answer["status"]), (0, &json!("would_replace")));
    let misspelt = format!("{}/", two.issuer);
    for (issuer, reason) in [
        ("http://127.0.0.1:9", "oidc_unreachable"),
        ("http://elsewhere.example", "oidc_url"),
        (misspelt.as_str(), "oidc_discovery"),
    ] {
        let (code, message) = own.command(&[
            "configure",
            "--issuer-url",
            issuer,
            "--client-id",
            "tokensmith",
            "--replace-existing",
        ]);
        assert_eq!(code, 1, "{message}");
        assert!(message.as_str().unwrap().contains(reason), "{message}");
    }
    assert_eq!(own.in_use()["oidc"]["issuer_url"], one.issuer);
    assert_eq!(own.service().exchange(&token_one, "").status, 200);

    let (code, answer) = own.configure(&two, &["--replace-existing"]);
    assert_eq!((code, &answer["status"]), (0, &json!("replaced")));
    assert_eq!(own.service().exchange(&token_two, "").status, 200);
    assert_eq!(
        refusal(&own.service().exchange(&token_one, "")),
        (401, "issuer_refused".to_owned())
    );
    let audited = own.audited();
    assert_eq!(audited.len(), 2, "{audited:?}");
    assert_eq!(audited[0]["about"]["issuer"], one.issuer);
    assert_eq!(audited[1]["about"]["issuer"], two.issuer);
    assert_eq!(audited[1]["about"]["former_issuer"], one.issuer);

    // What was configured at run time outlives the process, and comes before its flags.
    let flags = [
        "--oidc-issuer",
        one.issuer.as_str(),
        "--oidc-client-id",
        one.client_id.as_str(),
    ];
    own.restart(&flags);
    assert_eq!(own.in_use()["oidc"]["issuer_url"], two.issuer);
    assert_eq!(own.service().exchange(&token_two, "").status, 200);
}

#[test]
fn replicas_follow() {
    let (one, two) = (OidcProvider::start(), OidcProvider::start());
    let folder = Scratch::new();
    let store = format!("sqlite:{}/store.db", folder.path().display());
    let own = Administered::start(&["--store", &store]);
    let scratch = Scratch::new();
    let replica = start(&scratch, &one, &["--store", &store], "");
    assert_eq!(replica.exchange(&one.login("bob"), "").status, 200);
    let (code, answer) = own.configure(&two, &[]);
    assert_eq!((code, &answer["status"]), (0, &json!("created")));
    let token = two.login("bob");
    eventually("the replica has the new provider", || {
        replica.exchange(&token, "").status == 200
    });
    assert_eq!(replica.get("/health").json()["oidc_issuer"], two.issuer);
}

/// A request to the admin listener that the command would not send.
fn post_admin(socket: &Path, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(
        stream,
        "POST /admin/oidc/config HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[test]
fn bad_bodies_are_refused() {
    let own = Administered::start(&[]);
    let socket = own.scratch.path().join("admin.sock");
    for body in [
        "",
        "[]",
        "not json",
        r#"{"issuer_url": "https://idp.example"}"#,
        r#"{"issuer_url": "https://idp.example", "client_id": 7}"#,
        r#"{"issuer_url": "https://idp.example", "client_id": "c", "replace": true}"#,
        r#"{"issuer_url": "https://idp.example", "client_id": " "}"#,
        r#"{"issuer_url": "idp.example", "client_id": "c"}"#,
    ] {
        let (status, answer) = post_admin(&socket, body);
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains("invalid_request"), "{answer}");
    }
    assert_eq!(own.in_use()["status"], "not_configured");
}

#[test]
fn the_public_listener_has_no_admin_endpoints() {
    let oidc = OidcProvider::start();
    let own = Administered::start(&[]);
    let port = own.service().port;
    let body = json!({"issuer_url": oidc.issuer, "client_id": oidc.client_id}).to_string();
    for forged in [
        ("x-test", "none"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "::1, 127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("x-original-url", "/admin/oidc/config"),
        ("host", "localhost"),
    ] {
        let headers = [forged, ("content-type", "application/json")];
        let get = http::request(port, "GET", "/admin/oidc/config", &headers[..1]).unwrap();
        let post = http::send(port, "POST", "/admin/oidc/config", &headers, &body).unwrap();
        for response in [get, post] {
            // Two `Host` headers are no request at all.
            let expected = if forged.0 == "host" {
                400..=404
            } else {
                404..=404
            };
            assert!(
                expected.contains(&response.status),
                "{forged:?}: {response:?}"
            );
        }
    }
    assert_eq!(own.in_use()["status"], "not_configured");
}

#[test]
fn the_command_says_where_the_admin_listener_is_missing() {
    let scratch = Scratch::new();
    let service = Service::start(scratch.path(), &[]).unwrap();
    let public = format!("http://127.0.0.1:{}", service.port);
    for (url, code, reason) in [
        (public.as_str(), 1, "is not an admin listener"),
        ("http://127.0.0.1:9", 1, "no admin listener answers"),
        ("unix:/nowhere/admin.sock", 1, "no admin listener answers"),
        ("ftp://127.0.0.1", 2, "neither an http URL nor"),
    ] {
        let output = run(tokensmith(scratch.path()).args(["oidc", "status", "--url", url]));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(reason), "{message}");
    }
    let output = run(tokensmith(scratch.path())
        .env("TOKENSMITH_ADMIN_URL", &public)
        .args(["oidc", "status"]));
    assert_eq!(output.status.code(), Some(1));
}

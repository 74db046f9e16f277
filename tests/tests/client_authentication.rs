//! Clients of the real token endpoint that authenticate with an assertion (RFC 7523), those that
//! authenticate in no way that is known, and public ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Barrier;
use std::thread::scope;

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::clients::{OWN_TOKEN, assertion, own_token, post, refused, registration};
use tokensmith_tests::http::Response;
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tests::tokens::{Signer, now};

const ISSUER: &str = "http://tokensmith.test";
const CONFIG: [&str; 2] = ["--config", "site.json"];
const PROXIES: &str = "127.0.0.0/8";
const REPLAYED: &str = "client_assertion_replayed";

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

/// A folder with `site.json`: clients with keys of three kinds, registered in three ways, and one
/// that has a certificate.
struct Site {
    scratch: Scratch,
    gateway: Signer,
    sync: Signer,
    backup: Signer,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            scratch: Scratch::new(),
            gateway: Signer::new(Algorithm::ES256),
            sync: Signer::new(Algorithm::EdDSA),
            backup: Signer::new(Algorithm::RS256),
        };
        let keys = |signer: &Signer| json!({"keys": [signer.jwk.to_json()]});
        let file = keys(&site.sync).to_string();
        let file = site.scratch.write("sync-keys.json", &file);
        let client = |id: &str, members: Value| registration(id, "private_key_jwt", &members);
        let name = json!({"certificate": {"subject_dn_cn": "by-name"}});
        let clients = [
            client("gateway", json!({"jwks": keys(&site.gateway)})),
            client("sync", json!({"jwks_file": file})),
            client("backup", json!({"jwks": keys(&site.backup).to_string()})),
            registration("by-name", "tls_client_auth", &name),
        ];
        let config = json!({"clients": clients}).to_string();
        site.scratch.write("site.json", &config);
        site
    }

    fn start(&self) -> Service {
        let [flag, file] = CONFIG;
        let arguments = [flag, file, "--trusted-proxy", PROXIES];
        Service::start(self.scratch.path(), &arguments).unwrap()
    }
}

/// What a client says of itself, with `change` laid over it.
fn claims(client_id: &str, change: &Value) -> Value {
    assertion(client_id, ISSUER, change)
}

#[test]
fn an_assertion_by_its_own_key_authenticates_a_client_once() {
    let site = Site::new();
    let service = site.start();
    let endpoint = json!(format!("{ISSUER}/oauth/token"));
    let several = json!(["https://other.test", format!("{ISSUER}/token")]);
    for (name, signer, audience) in [
        ("gateway", &site.gateway, json!(ISSUER)),
        ("sync", &site.sync, endpoint),
        ("backup", &site.backup, several),
    ] {
        let token = signer.sign(&claims(name, &json!({"aud": audience})));
        let more = [("client_id", name), ("scope", "read")];
        let response = own_token(service.port, &token, &more);
        assert_eq!(response.status, 200, "{name}: {response:?}");
        let answer = response.json();
        assert!(answer["refresh_token"].is_null(), "{answer}");
        let (code, verified) = service.verify("smd", text(&answer, "access_token"));
        assert_eq!(code, Some(0), "{verified}");
        let own = &verified["claims"];
        assert_eq!((text(own, "sub"), text(own, "client_id")), (name, name));
        assert_eq!(own["aud"], json!(["smd", "bss"]));
        assert_eq!(own["scope"], json!(["read"]));
        assert_eq!(own["auth_methods"], json!(["private_key_jwt"]));
        assert!(own["cnf"].is_null(), "{own}");
        let again = own_token(service.port, &token, &more);
        refused(&again, 401, "invalid_client", REPLAYED, name);
    }
    // `jti` is each client's own.
    for (name, signer) in [("gateway", &site.gateway), ("sync", &site.sync)] {
        let token = signer.sign(&claims(name, &json!({"jti": "same"})));
        let response = own_token(service.port, &token, &[]);
        assert_eq!(response.status, 200, "{name}: {response:?}");
    }
    // What a request does wrong after it was let in uses the assertion up too.
    let token = site.gateway.sign(&claims("gateway", &json!({})));
    let wrong = own_token(service.port, &token, &[("scope", "admin")]);
    refused(&wrong, 400, "invalid_scope", "invalid_scope", "scope");
    drop(service);
    let again = own_token(site.start().port, &token, &[]);
    refused(&again, 401, "invalid_client", REPLAYED, "after a restart");
}

#[test]
fn assertions_that_authenticate_nobody() {
    let site = Site::new();
    let service = site.start();
    let key = &site.gateway;
    let signed = |change: Value| key.sign(&claims("gateway", &change));
    let of = |name: &str| claims(name, &json!({}));
    let stranger = Signer::new(Algorithm::ES256);
    let header = json!({"alg": "ES256", "kid": key.jwk.kid()});
    let forged = stranger.sign_with_header(&header, &of("gateway"));
    let proof = json!({"alg": "ES256", "typ": "dpop+jwt"});
    let proof = key.sign_with_header(&proof, &of("gateway"));
    let none = encode_base64url(r#"{"alg":"none"}"#);
    let none = format!("{none}.{}.", encode_base64url(of("gateway").to_string()));
    let now = now();
    let ended = signed(json!({"exp": now - 120, "iat": now - 180}));
    let for_other = signed(json!({"aud": "https://other.test"}));
    for (token, code) in [
        (for_other, "audience_mismatch"),
        (ended, "token_expired"),
        (
            signed(json!({"exp": now + 3600})),
            "client_assertion_window",
        ),
        (
            signed(json!({"iat": now - 3600})),
            "client_assertion_window",
        ),
        (signed(json!({"exp": null})), "claim_missing"),
        (signed(json!({"jti": null})), "client_assertion_jti"),
        (signed(json!({"sub": "sync"})), "client_assertion_client"),
        (stranger.sign(&of("gateway")), "kid_unknown"),
        (forged, "signature_invalid"),
        (site.sync.sign(&of("gateway")), "kid_unknown"),
        (stranger.sign(&of("stranger")), "client_unknown"),
        (stranger.sign(&of("by-name")), "client_unknown"),
        (proof, "client_assertion_type"),
        (none, "alg_refused"),
        ("garbage".to_owned(), "token_malformed"),
    ] {
        let response = own_token(service.port, &token, &[]);
        refused(&response, 401, "invalid_client", code, &token);
    }
    let token = signed(json!({}));
    let other = own_token(service.port, &token, &[("client_id", "sync")]);
    refused(&other, 401, "invalid_client", "client_unknown", "client_id");
    for kind in [
        "",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    ] {
        let form = [
            OWN_TOKEN,
            ("client_assertion", token.as_str()),
            ("client_assertion_type", kind),
        ];
        let response = post(service.port, &[], &form);
        assert_eq!(response.status, 400, "{response:?}");
        assert_eq!(response.json()["error"], "invalid_request");
    }
    let response = own_token(service.port, &token, &[]);
    assert_eq!(response.status, 200, "nobody was let in: {response:?}");
}

#[test]
fn nobody_has_a_secret_and_public_clients_are_not_registered() {
    let site = Site::new();
    let service = site.start();
    let token = service.bootstrap_token(&["--subject", "boot", "--audience", "smd"]);
    let first = service.redeem(&token).json();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
    ];
    // `gateway:hunter2`
    let basic = [("authorization", "Basic Z2F0ZXdheTpodW50ZXIy")];
    let secret = ("client_secret", "hunter2");
    for grant in [&[OWN_TOKEN][..], &refresh] {
        let mut form = grant.to_vec();
        form.push(("client_id", "gateway"));
        let by_header = post(service.port, &basic, &form);
        form.push(secret);
        let by_form = post(service.port, &[], &form);
        for response in [by_header, by_form] {
            refused(&response, 401, "invalid_client", "client_auth_method", "");
        }
        for name in ["gateway", "by-name"] {
            let form = [grant, &[("client_id", name)]].concat();
            let response = post(service.port, &[], &form);
            refused(&response, 401, "invalid_client", "client_certificate", name);
        }
    }
    for more in [&[] as &[(&str, &str)], &[("client_id", "script")]] {
        let form = [&[OWN_TOKEN][..], more].concat();
        let response = post(service.port, &[], &form);
        refused(&response, 401, "invalid_client", "client_missing", "public");
    }
    let public = [&refresh[..], &[("client_id", "script")]].concat();
    let response = post(service.port, &[], &public);
    assert_eq!(response.status, 200, "nobody used it: {response:?}");
}

#[test]
fn of_all_who_use_an_assertion_at_two_replicas_one_is_let_in() {
    const AT_ONCE: usize = 20;
    let (postgres, site) = (Postgres::start(), Site::new());
    let store = postgres.url();
    let [config, keys] = ["site.json", "keys"].map(|name| {
        let path = site.scratch.path().join(name);
        path.display().to_string()
    });
    let mut shared = vec!["--config", &config, "--key-dir", &keys];
    shared.extend(["--store", &store, "--trusted-proxy", PROXIES]);
    let replicas = ["a", "b"].map(|name| {
        let folder = site.scratch.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Service::start(&folder, &shared).unwrap()
    });
    for round in 0..2 {
        let token = site.gateway.sign(&claims("gateway", &json!({})));
        let (token, start) = (&token, &Barrier::new(AT_ONCE));
        let answers: Vec<Response> = scope(|scope| {
            let callers: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let port = replicas[number % replicas.len()].port;
                    scope.spawn(move || {
                        start.wait();
                        own_token(port, token, &[])
                    })
                })
                .collect();
            let answers = callers.into_iter().map(|caller| caller.join().unwrap());
            answers.collect()
        });
        let (won, lost): (Vec<&Response>, Vec<&Response>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1, "{round}: {answers:?}");
        assert_eq!(lost.len(), AT_ONCE - 1);
        for answer in lost {
            refused(answer, 401, "invalid_client", REPLAYED, "late");
        }
    }
}

#[test]
fn registrations_that_make_no_sense_are_named_at_the_start() {
    let scratch = Scratch::new();
    scratch.write("no-set.json", "{}");
    let key = Signer::new(Algorithm::ES256).jwk.to_json();
    let mut private = key.clone();
    private["d"] = json!("AAAA");
    let keyed = |members: Value| registration("gateway", "private_key_jwt", &members);
    let good = keyed(json!({"jwks": {"keys": [key]}}));
    let mut starred = good.clone();
    starred["client_id"] = json!("*");
    let ungranted = json!({"jwks": {"keys": [key]}, "client_credentials": null});
    let own = json!({"certificate_sha256": [encode_base64url([7_u8; 32])]});
    let own = registration("gateway", "self_signed_tls_client_auth", &own);
    let missing = keyed(json!({"jwks_file": "missing.json"}));
    let no_set = keyed(json!({"jwks_file": "no-set.json"}));
    let private = keyed(json!({"jwks": {"keys": [private]}}));
    let empty = keyed(json!({"jwks": {"keys": []}}));
    for (clients, message) in [
        (vec![good.clone(), good], "`gateway` is registered twice"),
        (vec![own], "`self_signed_tls_client_auth` is not offered"),
        (vec![missing], "cannot read `missing.json`"),
        (vec![no_set], "`gateway`: `jwks`: "),
        (vec![private], "`gateway`: `jwks`: "),
        (vec![empty], "`gateway`: the key set has no key"),
        (vec![keyed(json!({}))], "`private_key_jwt` needs one of"),
        (vec![starred], "`*` cannot name a client"),
        (vec![keyed(ungranted)], "needs `client_credentials`"),
    ] {
        let config = json!({"clients": clients}).to_string();
        scratch.write("site.json", &config);
        let output = run(tokensmith(scratch.path())
            .args(["serve", "--listen-address", "127.0.0.1", "--port", "0"])
            .args(CONFIG));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}: {errors}");
        assert!(errors.contains(message), "{message}: {errors}");
    }
}

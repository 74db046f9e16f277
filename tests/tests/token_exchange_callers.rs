//! Who may exchange tokens at the real service (RFC 8693), and how requests and answers are
//! spelled.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_tests::certificates::{Certificates, TlsService};
use tokensmith_tests::clients::{OWN_TOKEN, refused};
use tokensmith_tests::exchange::{ACCESS_TOKEN, ExchangeSite};
use tokensmith_tests::http::Response;
use tokensmith_tests::service::{TOKEN_EXCHANGE, run, tokensmith};

const HYPHENATED: &str = "urn:ietf:params:oauth:token-type:access-token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A service that has a session for its certificate, and another that is two clients.
const SERVICES: &str = r#"
[[service_identities]]
name = "smd"
audience = ["smd"]
scopes = ["read"]

[[clients]]
client_id = "gateway"
auth = "tls_client_auth"
certificate = { subject_dn_cn = "gateway" }
grants = ["token_exchange"]

[[clients]]
client_id = "own"
auth = "tls_client_auth"
certificate = { subject_dn_cn = "gateway" }
grants = ["client_credentials"]
client_credentials = { audience = ["tokensmith"] }

"#;

/// A rule for the audience `smd`; `members` are more lines of TOML.
fn rule(clients: &str, mode: &str, members: &str) -> String {
    format!(
        "[[exchange]]\nname = \"one\"\nclients = [\"{clients}\"]\naudiences = [\"smd\"]\n\
         scopes = [\"read\"]\nmode = \"{mode}\"\n{members}\n"
    )
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

#[test]
fn without_a_rule_nothing_is_exchanged() {
    let site = ExchangeSite::start("", &[]);
    let (user, gateway) = (site.ann(&json!({})), site.token_of("gateway"));
    let response = site.exchange(&user, None, &[("audience", "smd")]);
    let code = "exchange_client_missing";
    refused(&response, 401, "invalid_client", code, "");
    let response = site.exchange(&user, Some(&gateway), &[("audience", "smd")]);
    let code = "exchange_client_refused";
    refused(&response, 400, "unauthorized_client", code, "");
}

#[test]
fn rules_say_who_may_ask() {
    for (clients, alone, gateway, other) in [
        ("gateway", false, true, false),
        ("*", false, true, true),
        ("public", true, true, true),
    ] {
        let site = ExchangeSite::start(&rule(clients, "impersonate", ""), &[]);
        let user = site.ann(&json!({}));
        for (actor, good) in [
            (None, alone),
            (Some("gateway"), gateway),
            (Some("other"), other),
        ] {
            let token = actor.map(|actor| site.token_of(actor));
            let response = site.exchange(&user, token.as_deref(), &[]);
            match (good, actor) {
                (true, _) => {
                    let (_, issued) = site.issued("smd", &response);
                    assert_eq!(text(&issued, "sub"), "ann");
                    assert_eq!(issued["aud"], json!(["smd"]));
                    assert_eq!(issued["scope"], json!(["read"]));
                    assert!(issued["act"].is_null(), "{issued}");
                }
                (false, None) => {
                    let code = "exchange_client_missing";
                    refused(&response, 401, "invalid_client", code, clients);
                }
                (false, Some(_)) => {
                    let code = "exchange_client_refused";
                    refused(&response, 400, "unauthorized_client", code, clients);
                }
            }
        }
    }
    // Delegation needs someone to name, whoever may ask.
    let site = ExchangeSite::start(&rule("public", "delegate", ""), &[]);
    let user = site.ann(&json!({}));
    let response = site.exchange(&user, None, &[]);
    refused(&response, 400, "invalid_request", "actor_missing", "");
}

#[test]
fn rules_say_whose_tokens() {
    for (condition, change, good) in [
        ("principal = 'user'", json!({}), true),
        ("principal = 'service'", json!({}), false),
        (
            "principal = 'service'",
            json!({"principal_type": "service"}),
            true,
        ),
        ("subjects = ['bob', 'ann']", json!({}), true),
        ("subjects = ['bob']", json!({}), false),
        ("groups = ['operators']", json!({}), true),
        (
            "groups = ['operators']",
            json!({"groups": ["Operators"]}),
            false,
        ),
        ("roles = ['admin', 'viewer']", json!({}), true),
        ("roles = ['admin']", json!({}), false),
        ("issuer = 'self'", json!({}), true),
        ("issuer = 'https://idp.test'", json!({}), false),
    ] {
        let subject = format!("subject = {{ {condition} }}");
        let site = ExchangeSite::start(&rule("public", "impersonate", &subject), &[]);
        let response = site.exchange(&site.ann(&change), None, &[]);
        if good {
            site.issued("smd", &response);
        } else {
            let code = "exchange_subject_refused";
            refused(&response, 400, "invalid_request", code, condition);
        }
    }
}

#[test]
fn types_are_spelled_in_two_ways() {
    let site = ExchangeSite::start(&rule("gateway", "delegate", ""), &[]);
    let (user, gateway) = (site.ann(&json!({})), site.token_of("gateway"));
    let send = |subject: &str, actor: &str, requested: &str| {
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token_type", subject),
            ("subject_token", user.as_str()),
            ("actor_token_type", actor),
            ("actor_token", gateway.as_str()),
            ("requested_token_type", requested),
        ];
        site.service.form("/oauth/token", &form)
    };
    for kind in [ACCESS_TOKEN, HYPHENATED, JWT] {
        for response in [
            send(kind, JWT, ""),
            send(JWT, kind, ""),
            send(JWT, JWT, kind),
        ] {
            let (_, issued) = site.issued("smd", &response);
            assert_eq!(issued["act"]["sub"], "gateway");
            assert_eq!(response.json()["issued_token_type"], HYPHENATED);
        }
    }
    for (subject, actor, requested, named) in [
        (REFRESH_TOKEN, JWT, "", "subject_token_type"),
        ("access_token", JWT, "", "subject_token_type"),
        ("", JWT, "", "subject_token_type"),
        (JWT, "", "", "actor_token_type"),
        (JWT, ID_TOKEN, "", "actor_token_type"),
        (JWT, JWT, REFRESH_TOKEN, "requested_token_type"),
        (JWT, JWT, ID_TOKEN, "requested_token_type"),
        (JWT, JWT, "access_token", "requested_token_type"),
    ] {
        let response = send(subject, actor, requested);
        let body = response.json();
        assert_eq!(
            (response.status, text(&body, "error")),
            (400, "invalid_request")
        );
        let said = text(&body, "error_description");
        assert!(said.contains(&format!("`{named}`")), "{said}");
    }
}

#[test]
fn tokens_and_answers_as_the_rfcs_have_them() {
    let rules = rule("gateway", "delegate", "");
    let arguments = [
        "--access-token-type",
        "at+jwt",
        "--issued-token-type",
        "rfc8693",
    ];
    let site = ExchangeSite::start(&rules, &arguments);
    let gateway = site.token_of("gateway");
    let response = site.exchange(&site.ann(&json!({})), Some(&gateway), &[]);
    assert_eq!(response.json()["issued_token_type"], ACCESS_TOKEN);
    let (token, issued) = site.issued("smd", &response);
    // RFC 9068 section 2.2 wants one; none authenticated.
    assert!(issued["client_id"].is_string(), "{issued}");
    for token in [&token, &gateway] {
        let output = run(tokensmith(&site.service.folder).args(["token", "inspect", token]));
        let inspected: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(inspected["header"]["typ"], "at+jwt");
    }
    let response = site.exchange(&token, Some(&gateway), &[]);
    let (_, issued) = site.issued("smd", &response);
    assert_eq!(issued["act"]["act"]["sub"], "gateway");
}

#[test]
fn a_bound_token_is_exchanged_where_its_certificate_is_shown() {
    let site = Certificates::new();
    let configuration = format!("{SERVICES}{}", rule("*", "delegate", ""));
    site.write("site.toml", &configuration);
    for name in ["smd", "gateway"] {
        site.issue(name, "ca", name, "");
    }
    let service = TlsService::start(&site, &["--config", "site.toml"]).unwrap();
    let session = service.post(Some("smd"), "/service-identity/session", &[]);
    let session = session.json();
    let token = text(&session, "access_token");
    let exchange = |certificate: &str, more: &[(&str, &str)]| -> Response {
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token_type", ACCESS_TOKEN),
            ("subject_token", token),
        ];
        form.extend_from_slice(more);
        service.post(Some(certificate), "/oauth/token", &form)
    };
    let actor = [("actor_token_type", ACCESS_TOKEN), ("actor_token", token)];
    let answer = exchange("smd", &actor).json();
    let issued = text(&answer, "access_token");
    let (code, verified) = service.verify("smd", None, issued);
    assert_eq!(code, Some(1), "it is bound as that one was: {verified}");
    let (code, verified) = service.verify("smd", Some("smd"), issued);
    assert_eq!(code, Some(0), "{verified}");
    let claims = &verified["claims"];
    assert_eq!(
        (&claims["sub"], &claims["act"]["sub"]),
        (&json!("smd"), &json!("smd"))
    );
    assert_eq!(claims["cnf"]["x5t#S256"], site.thumbprint("smd"));

    let client = ("client_id", "gateway");
    for response in [exchange("gateway", &actor), exchange("gateway", &[client])] {
        refused(&response, 400, "invalid_request", "cnf_not_shown", "");
    }
    let response = exchange("smd", &[client]);
    refused(&response, 401, "invalid_client", "client_certificate", "");
    let own = [OWN_TOKEN, ("client_id", "own")];
    let own = service.post(Some("gateway"), "/oauth/token", &own).json();
    let own = text(&own, "access_token");
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token_type", ACCESS_TOKEN),
        ("subject_token", own),
        client,
    ];
    // What a client gets that has shown a certificate is bound to that.
    let answer = service.post(Some("gateway"), "/oauth/token", &form).json();
    let token = text(&answer, "access_token");
    let (code, verified) = service.verify("smd", Some("gateway"), token);
    assert_eq!(code, Some(0), "{verified}");
    let claims = &verified["claims"];
    assert_eq!(claims["client_id"], "gateway");
    let issuer = &service.service.issuer;
    let act = json!({"sub": "gateway", "iss": issuer, "client_id": "gateway"});
    assert_eq!(claims["act"], act);
    let thumbprint = site.thumbprint("gateway");
    assert_eq!(claims["cnf"], json!({"x5t#S256": thumbprint}));

    let mut form = form;
    form[3] = ("client_id", "own");
    let response = service.post(Some("gateway"), "/oauth/token", &form);
    let code = "grant_type_refused";
    refused(&response, 400, "unauthorized_client", code, "own");
}

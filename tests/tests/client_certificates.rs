//! Clients of the real token endpoint that authenticate with a certificate (RFC 8705 section 2.1).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_tests::certificates::{Certificates, TlsService};
use tokensmith_tests::clients::{OWN_TOKEN, refused, registration};
use tokensmith_tests::http::Response;

const TOKEN: &str = "/oauth/token";

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

/// Clients by names of each kind, and certificates; each client's has its id as file name.
fn site() -> Certificates {
    let site = Certificates::new();
    let client = |id: &str, kind: &str, name: &str, members: Value| {
        let mut client = registration(id, "tls_client_auth", &members);
        client["certificate"] = json!({kind: name});
        client
    };
    let exchanger = json!({"grants": ["token_exchange"], "client_credentials": null});
    let grant = json!({
        "client_credentials": {
            "subject": "sync", "audience": ["smd", "bss"], "scopes": ["read", "write"],
            "roles": ["service"],
        },
    });
    let clients = [
        client("by-cn", "subject_dn_cn", "inventory", json!({})),
        client("by-dns", "san_dns", "sync.site.test", grant),
        client("by-uri", "san_uri", "spiffe://site.test/power", json!({})),
        client("exchanger", "subject_dn_cn", "exchanger", exchanger),
    ];
    site.write("site.json", &json!({"clients": clients}).to_string());
    for (file, common_name, names) in [
        ("by-cn", "inventory", "DNS:inventory.test"),
        ("by-dns", "host", "DNS:host.test,DNS:sync.site.test"),
        ("by-uri", "host", "URI:spiffe://site.test/power"),
        ("exchanger", "exchanger", ""),
        // The right names in the wrong places.
        ("moved", "sync.site.test", "DNS:inventory,DNS:by-cn"),
    ] {
        site.issue(file, "ca", common_name, names);
    }
    site
}

fn start(site: &Certificates) -> TlsService {
    TlsService::start(site, &["--config", "site.json"]).unwrap()
}

/// Asks for a client's own token, showing a certificate.
fn own_token(
    service: &TlsService,
    certificate: Option<&str>,
    client_id: &str,
    more: &[(&str, &str)],
) -> Response {
    let mut form = vec![OWN_TOKEN, ("client_id", client_id)];
    form.extend_from_slice(more);
    service.post(certificate, TOKEN, &form)
}

/// The claims of a client's own token, which is good with its certificate.
fn claims(service: &TlsService, client_id: &str, audience: &str, more: &[(&str, &str)]) -> Value {
    let response = own_token(service, Some(client_id), client_id, more);
    assert_eq!(response.status, 200, "{response:?}");
    let answer = response.json();
    assert!(answer["refresh_token"].is_null(), "RFC 6749 section 4.4.3");
    let token = text(&answer, "access_token");
    let (code, verified) = service.verify(audience, Some(client_id), token);
    assert_eq!(code, Some(0), "{verified}");
    verified["claims"].clone()
}

#[test]
fn a_certificate_authenticates_the_client_of_its_name() {
    let site = site();
    let service = start(&site);
    for (id, subject, roles) in [
        ("by-cn", "by-cn", json!([])),
        ("by-dns", "sync", json!(["service"])),
        ("by-uri", "by-uri", json!([])),
    ] {
        let claims = claims(&service, id, "smd", &[]);
        assert_eq!(claims["sub"], subject);
        assert_eq!(claims["client_id"], id);
        assert_eq!(claims["aud"], json!(["smd", "bss"]));
        assert_eq!(claims["scope"], json!(["read", "write"]));
        assert_eq!(claims["roles"], roles);
        assert_eq!(claims["principal_type"], "service");
        assert_eq!(claims["auth_methods"], json!(["mtls"]));
        assert_eq!(claims["auth_events"], json!(["client_credentials"]));
        assert_eq!(claims["cnf"], json!({"x5t#S256": site.thumbprint(id)}));
    }
}

#[test]
fn another_certificate_does_not() {
    let site = site();
    let service = start(&site);
    for id in ["by-cn", "by-dns", "by-uri", "exchanger"] {
        for shown in [None, Some("moved")] {
            let response = own_token(&service, shown, id, &[]);
            refused(&response, 401, "invalid_client", "client_certificate", id);
        }
    }
    let response = own_token(&service, Some("by-cn"), "by-uri", &[]);
    refused(&response, 401, "invalid_client", "client_certificate", "");
    // Whose certificate it is does not replace saying who one is.
    let response = service.post(Some("by-cn"), TOKEN, &[OWN_TOKEN]);
    refused(&response, 401, "invalid_client", "client_missing", "");

    let answer = own_token(&service, Some("by-cn"), "by-cn", &[]).json();
    let token = text(&answer, "access_token");
    for (shown, code) in [
        (None, "certificate_missing"),
        (Some("by-uri"), "certificate_mismatch"),
    ] {
        let (exit, refused) = service.verify("smd", shown, token);
        assert_eq!((exit, &refused["code"]), (Some(1), &json!(code)));
    }
}

#[test]
fn a_request_narrows_and_never_adds() {
    let site = site();
    let service = start(&site);
    for (more, audience, scope) in [
        (&[("audience", "bss")][..], "bss", "read write"),
        (&[("resource", "smd")], "smd", "read write"),
        (&[("scope", "read")], "smd bss", "read"),
        (&[("scope", "write read")], "smd bss", "read write"),
        (
            &[("audience", "bss"), ("audience", "smd")],
            "smd bss",
            "read write",
        ),
    ] {
        let first = audience.split(' ').next().unwrap();
        let claims = claims(&service, "by-cn", first, more);
        let words = |text: &str| json!(text.split(' ').collect::<Vec<_>>());
        assert_eq!(claims["aud"], words(audience), "{more:?}");
        assert_eq!(claims["scope"], words(scope), "{more:?}");
    }
    for (more, error) in [
        (("audience", "hsm"), "invalid_target"),
        (("resource", "https://smd.test"), "invalid_target"),
        (("scope", "read admin"), "invalid_scope"),
    ] {
        let response = own_token(&service, Some("by-cn"), "by-cn", &[more]);
        refused(&response, 400, error, error, more.1);
    }
    let response = own_token(&service, Some("exchanger"), "exchanger", &[]);
    let code = "grant_type_refused";
    refused(&response, 400, "unauthorized_client", code, "exchanger");
}

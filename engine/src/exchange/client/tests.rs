use serde_json::json;

use super::*;

const KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn client(value: Value) -> ClientRegistration {
    serde_json::from_value(value).unwrap()
}

/// A client that authenticates with `members` and may exchange tokens.
fn exchanging(auth: &str, members: Value) -> ClientRegistration {
    let mut value = json!({"client_id": "c", "auth": auth, "grants": ["token_exchange"]});
    for (name, member) in members.as_object().unwrap() {
        value[name] = member.clone();
    }
    client(value)
}

fn code<T>(result: Result<T, RegistrationError>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn each_way_of_authentication_has_what_it_needs() {
    let name = json!({"san_uri": "spiffe://site.example/c"});
    for (auth, members, expected) in [
        ("private_key_jwt", json!({"jwks": {"keys": []}}), None),
        ("private_key_jwt", json!({"jwks_file": "keys.json"}), None),
        ("private_key_jwt", json!({}), Some("registration_auth")),
        (
            "private_key_jwt",
            json!({"jwks": {"keys": []}, "jwks_file": "keys.json"}),
            Some("registration_auth"),
        ),
        (
            "private_key_jwt",
            json!({"jwks_file": "keys.json", "certificate": name}),
            Some("registration_auth"),
        ),
        ("tls_client_auth", json!({"certificate": name}), None),
        ("tls_client_auth", json!({}), Some("registration_auth")),
        (
            "tls_client_auth",
            json!({"certificate": {"san_dns": " "}}),
            Some("registration_auth"),
        ),
        (
            "tls_client_auth",
            json!({"certificate": name, "certificate_sha256": [THUMBPRINT]}),
            Some("registration_auth"),
        ),
        (
            "self_signed_tls_client_auth",
            json!({"certificate_sha256": [THUMBPRINT]}),
            None,
        ),
        (
            "self_signed_tls_client_auth",
            json!({}),
            Some("registration_auth"),
        ),
        (
            "self_signed_tls_client_auth",
            json!({"certificate_sha256": [THUMBPRINT, "AAAA"]}),
            Some("registration_thumbprint"),
        ),
    ] {
        let client = exchanging(auth, members);
        assert_eq!(code(client.check()), expected, "{client:?}");
    }
}

#[test]
fn names_and_grants() {
    for (members, expected) in [
        (json!({"client_id": " "}), "registration_name"),
        (json!({"client_id": "*"}), "registration_name"),
        (json!({"client_id": "public"}), "registration_name"),
        (json!({"client_id": "a\nb"}), "registration_name"),
        (json!({"client_id": "a".repeat(256)}), "registration_name"),
        (json!({"grants": []}), "registration_grant"),
        (
            json!({"grants": ["client_credentials"]}),
            "registration_grant",
        ),
        (
            json!({"client_credentials": {"audience": ["smd"]}}),
            "registration_grant",
        ),
        (
            json!({"grants": ["client_credentials"], "client_credentials": {"audience": []}}),
            "registration_grant",
        ),
        (
            json!({
                "grants": ["client_credentials"],
                "client_credentials": {"audience": ["smd"], "scopes": [""]},
            }),
            "registration_grant",
        ),
    ] {
        let mut own = json!({"jwks_file": "keys.json"});
        for (name, member) in members.as_object().unwrap() {
            own[name] = member.clone();
        }
        let client = exchanging("private_key_jwt", own);
        assert_eq!(code(client.check()), Some(expected), "{client:?}");
    }
    let one = exchanging("private_key_jwt", json!({"jwks_file": "keys.json"}));
    let twice = [one.clone(), one.clone()];
    let result = ClientRegistration::check_all(&twice);
    assert_eq!(code(result), Some("registration_duplicate"));
    assert_eq!(code(ClientRegistration::check_all(&twice[..1])), None);
    assert_eq!(ClientRegistration::find(&twice, "c"), Some(&one));
    assert_eq!(ClientRegistration::find(&twice, "d"), None);
    for wrong in [
        json!({"client_id": "c", "auth": "client_secret_basic", "grants": ["token_exchange"]}),
        json!({"client_id": "c", "auth": "tls_client_auth", "grants": ["password"]}),
        json!({
            "client_id": "c", "auth": "tls_client_auth", "grants": ["token_exchange"],
            "certificate": {"san_dns": "a", "san_uri": "b"},
        }),
        json!({
            "client_id": "c", "auth": "tls_client_auth", "grants": ["token_exchange"],
            "client_secret": "x",
        }),
    ] {
        let result = serde_json::from_value::<ClientRegistration>(wrong.clone());
        assert!(result.is_err(), "{wrong}");
    }
}

#[test]
fn keys_inline_as_text_and_in_a_file() {
    let limits = Limits::default();
    let set = format!(r#"{{"keys":[{KEY}]}}"#);
    let inline: Value = serde_json::from_str(&set).unwrap();
    let file = exchanging("private_key_jwt", json!({"jwks_file": "keys.json"}));
    for client in [
        exchanging("private_key_jwt", json!({"jwks": inline})),
        exchanging("private_key_jwt", json!({"jwks": set})),
    ] {
        assert_eq!(client.key_set(None, &limits).unwrap().keys.len(), 1);
    }
    for (text, expected) in [
        (Some(set.as_str()), None),
        (Some(r#"{"keys":[]}"#), Some("registration_auth")),
        (None, Some("registration_auth")),
        (Some("[]"), Some("registration_jwks")),
        (
            Some(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#),
            Some("registration_jwks"),
        ),
    ] {
        let result = file.key_set(text.map(str::as_bytes), &limits);
        assert_eq!(code(result), expected, "{text:?}");
    }
}

#[test]
fn certificates_match_by_their_one_name() {
    let certificate = CertificateNames {
        common_name: Some("c".to_owned()),
        dns: vec!["c.site.example".to_owned()],
        uris: vec!["spiffe://site.example/c".to_owned()],
        thumbprint: THUMBPRINT.to_owned(),
    };
    for (auth, members, matches) in [
        (
            "tls_client_auth",
            json!({"certificate": {"subject_dn_cn": "c"}}),
            true,
        ),
        (
            "tls_client_auth",
            json!({"certificate": {"subject_dn_cn": "C"}}),
            false,
        ),
        (
            "tls_client_auth",
            json!({"certificate": {"san_dns": "c.site.example"}}),
            true,
        ),
        (
            "tls_client_auth",
            json!({"certificate": {"san_dns": "c"}}),
            false,
        ),
        (
            "tls_client_auth",
            json!({"certificate": {"san_uri": "spiffe://site.example/c"}}),
            true,
        ),
        (
            "tls_client_auth",
            json!({"certificate": {"san_uri": "c.site.example"}}),
            false,
        ),
        ("tls_client_auth", json!({}), false),
        // The thumbprint counts only where it is how the client authenticates.
        (
            "tls_client_auth",
            json!({"certificate_sha256": [THUMBPRINT]}),
            false,
        ),
        (
            "private_key_jwt",
            json!({"certificate": {"subject_dn_cn": "c"}}),
            false,
        ),
        (
            "self_signed_tls_client_auth",
            json!({"certificate_sha256": [THUMBPRINT]}),
            true,
        ),
        (
            "self_signed_tls_client_auth",
            json!({"certificate_sha256": ["AAAA"]}),
            false,
        ),
    ] {
        let client = exchanging(auth, members);
        assert_eq!(
            client.matches_certificate(&certificate),
            matches,
            "{client:?}"
        );
    }
}

#[test]
fn credentials_bring_what_was_granted() {
    let own = client(json!({
        "client_id": "c", "auth": "private_key_jwt", "jwks_file": "keys.json",
        "grants": ["client_credentials"],
        "client_credentials": {
            "audience": ["smd", "bss"], "scopes": ["read", "write"], "roles": ["service"],
        },
    }));
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let all = own.service_grant(&[], None).unwrap();
    assert_eq!(
        (all.subject.as_str(), all.roles.as_slice()),
        ("c", &words("service")[..])
    );
    assert_eq!(
        (all.audience, all.scopes),
        (words("smd bss"), words("read write"))
    );
    let some = own
        .service_grant(&words("bss"), Some(&words("write")))
        .unwrap();
    assert_eq!((some.audience, some.scopes), (words("bss"), words("write")));
    let refused = |result: Result<ServiceGrant, ExchangeError>| result.unwrap_err().code();
    assert_eq!(
        refused(own.service_grant(&words("bss power"), None)),
        "invalid_target"
    );
    assert_eq!(
        refused(own.service_grant(&[], Some(&words("admin")))),
        "invalid_scope"
    );
    let other = exchanging("private_key_jwt", json!({"jwks_file": "keys.json"}));
    assert_eq!(
        refused(other.service_grant(&[], None)),
        "grant_type_refused"
    );
}

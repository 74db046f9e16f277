use serde_json::{Value, json};

use super::*;
use crate::jose::{Algorithm, Jwk, JwkError, JwkSet, encode_base64url};
use crate::verify::{SignatureProvider, Verdict, VerificationKey};

const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const AUDIENCES: [&str; 2] = ["https://own.example", "https://own.example/oauth/token"];

/// A provider for which [`GOOD`] is the signature of everything.
#[derive(Debug)]
struct OneSignature;

const GOOD: &[u8] = b"good";

impl SignatureProvider for OneSignature {
    fn prepare(&self, _: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError> {
        Ok(Some(Box::new(OneSignature)))
    }
}

impl VerificationKey for OneSignature {
    fn verify(&self, _: Algorithm, _: &[u8], signature: &[u8]) -> Verdict {
        if signature == GOOD {
            Verdict::Valid
        } else {
            Verdict::Invalid
        }
    }
}

fn token(header: &Value, members: &Value, signature: &[u8]) -> String {
    let mut claims = json!({
        "iss": "c", "sub": "c", "aud": "https://own.example", "exp": 1_300, "iat": 1_000,
        "jti": "once",
    });
    for (name, value) in members.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let (header, claims) = (header.to_string(), claims.to_string());
    format!(
        "{}.{}.{}",
        encode_base64url(header),
        encode_base64url(claims),
        encode_base64url(signature)
    )
}

fn verify(text: &str) -> Result<ClientAssertion, ClientAssertionError> {
    let limits = Limits::default();
    let set = JwkSet::parse(KEYS, &limits).unwrap();
    let keys = KeyRing::new([("c", &set)], &OneSignature);
    ClientAssertion::begin(text, &limits)?.verify(&keys, &AUDIENCES, 1_000)
}

fn code(text: &str) -> Option<&'static str> {
    verify(text).err().map(|error| error.code())
}

#[test]
fn claims_of_an_assertion() {
    let header = json!({"alg": "EdDSA"});
    for (members, expected) in [
        (json!({}), None),
        (
            json!({"aud": ["other", "https://own.example/oauth/token"]}),
            None,
        ),
        (
            json!({"aud": "https://own.example/"}),
            Some("audience_mismatch"),
        ),
        (json!({"aud": null}), Some("claim_missing")),
        (json!({"iss": null}), Some("client_assertion_client")),
        (json!({"sub": null}), Some("client_assertion_client")),
        (json!({"sub": "other"}), Some("client_assertion_client")),
        (
            json!({"iss": " ", "sub": " "}),
            Some("client_assertion_client"),
        ),
        // Another client has no keys here.
        (json!({"iss": "d", "sub": "d"}), Some("kid_unknown")),
        (json!({"exp": null}), Some("claim_missing")),
        (json!({"exp": 941}), None),
        (json!({"exp": 940}), Some("token_expired")),
        (json!({"exp": 1_660}), None),
        (json!({"exp": 1_661}), Some("client_assertion_window")),
        (json!({"exp": i64::MAX}), Some("client_assertion_window")),
        (json!({"iat": null}), None),
        (json!({"iat": 340}), None),
        (json!({"iat": 339}), Some("client_assertion_window")),
        (json!({"iat": 1_061}), Some("token_issued_in_future")),
        (json!({"nbf": 1_061}), Some("token_not_yet_valid")),
        (json!({"jti": null}), Some("client_assertion_jti")),
        (json!({"jti": ""}), Some("client_assertion_jti")),
        (json!({"jti": "x".repeat(256)}), None),
        (
            json!({"jti": "x".repeat(257)}),
            Some("client_assertion_jti"),
        ),
        (json!({"jti": 1}), Some("claim_type")),
    ] {
        assert_eq!(code(&token(&header, &members, GOOD)), expected, "{members}");
    }
    let verified = verify(&token(&header, &json!({}), GOOD)).unwrap();
    let expected = ClientAssertion {
        client_id: "c".to_owned(),
        jti: "once".to_owned(),
        ends: 1_360,
    };
    assert_eq!(verified, expected);
}

#[test]
fn header_and_signature() {
    for (header, signature, expected) in [
        (json!({"alg": "EdDSA", "typ": "JWT"}), GOOD, None),
        (
            json!({"alg": "EdDSA", "typ": "client-authentication+jwt"}),
            GOOD,
            None,
        ),
        (
            json!({"alg": "EdDSA", "typ": "at+jwt"}),
            GOOD,
            Some("client_assertion_type"),
        ),
        (
            json!({"alg": "EdDSA", "typ": "dpop+jwt"}),
            GOOD,
            Some("client_assertion_type"),
        ),
        (
            json!({"alg": "EdDSA"}),
            b"bad".as_slice(),
            Some("signature_invalid"),
        ),
        (json!({"alg": "ES256"}), GOOD, Some("key_alg_mismatch")),
        (json!({"alg": "HS256"}), GOOD, Some("alg_refused")),
        (json!({"alg": "none"}), GOOD, Some("alg_refused")),
    ] {
        assert_eq!(
            code(&token(&header, &json!({}), signature)),
            expected,
            "{header}"
        );
    }
    assert_eq!(code("no token"), Some("token_malformed"));
    let limits = Limits::default();
    let text = token(&json!({"alg": "EdDSA"}), &json!({}), b"bad");
    assert_eq!(
        ClientAssertion::begin(&text, &limits).unwrap().client_id(),
        "c"
    );
}

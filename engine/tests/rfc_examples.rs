//! Examples printed in RFC 7515, RFC 7519, RFC 7520, RFC 7638, RFC 7797, RFC 8037 and RFC 9449.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::Value;
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::{KeyRing, SignatureProvider, verify_jws};

const RFC: &str = include_str!("../../tests/vectors/rfc.json");
const RFC8037_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RFC8037_JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const RFC7515_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const RFC7515_JWS: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const RFC7638_KEY: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}"#;

fn providers() -> Vec<Box<dyn SignatureProvider>> {
    vec![
        #[cfg(feature = "aws-lc")]
        Box::new(tokensmith_engine::verify::aws_lc::AwsLc),
        #[cfg(feature = "portable")]
        Box::new(tokensmith_engine::verify::portable::Portable),
    ]
}

fn set(key: &str) -> JwkSet {
    let set = JwkSet::parse(
        format!(r#"{{"keys":[{key}]}}"#).as_bytes(),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(set.rejected, []);
    set
}

fn code(key: &str, jws: &str, algorithms: Option<&[Algorithm]>) -> Vec<&'static str> {
    let set = set(key);
    let limits = Limits::default();
    providers()
        .iter()
        .map(|provider| {
            let ring = KeyRing::new([("", &set)], provider.as_ref());
            assert_eq!(ring.rejected().next(), None);
            match verify_jws(jws, &ring, "", algorithms, &limits) {
                Ok(_) => "ok",
                Err(error) => error.code(),
            }
        })
        .collect()
}

fn all(code: &'static str) -> Vec<&'static str> {
    providers().iter().map(|_| code).collect()
}

#[test]
fn printed_signatures_verify() {
    assert_eq!(code(RFC8037_KEY, RFC8037_JWS, None), all("ok"));
    assert_eq!(code(RFC7515_KEY, RFC7515_JWS, None), all("ok"));
}

/// RFC 7515 appendix A, RFC 7519, RFC 7520 section 4, RFC 7797, RFC 8037 appendix A.
#[test]
fn recorded_examples() {
    let vectors: Value = serde_json::from_str(RFC).unwrap();
    let limits = Limits::default();
    let examples = vectors["jws"].as_array().unwrap();
    assert_eq!(examples.len(), 13);
    for example in examples {
        let text = |name: &str| example[name].as_str().unwrap();
        let refused = if text("jws").contains("..") {
            "b64_refused"
        } else {
            "alg_refused"
        };
        if example["jwk"].is_null() {
            assert_eq!(text("expect"), "refused");
            assert_eq!(
                code(RFC7515_KEY, text("jws"), None),
                all(refused),
                "{}",
                text("name")
            );
            continue;
        }
        let set = set(&example["jwk"].to_string());
        for provider in providers() {
            let ring = KeyRing::new([("", &set)], provider.as_ref());
            let payload = verify_jws(text("jws"), &ring, "", None, &limits).unwrap();
            assert_eq!(payload, text("payload_utf8").as_bytes(), "{}", text("name"));
        }
    }
    let thumbprints = vectors["thumbprints"].as_array().unwrap();
    assert_eq!(thumbprints.len(), 3);
    for example in thumbprints {
        let set = set(&example["jwk"].to_string());
        assert_eq!(
            set.keys[0].thumbprint(),
            example["thumbprint"].as_str().unwrap()
        );
    }
}

#[test]
fn a_changed_byte_does_not() {
    let tampered = RFC7515_JWS.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Vi");
    assert_eq!(code(RFC7515_KEY, &tampered, None), all("signature_invalid"));
    let other = RFC8037_JWS.replace("hgyY0il", "hgyY0im");
    assert_eq!(code(RFC8037_KEY, &other, None), all("signature_invalid"));
}

#[test]
fn the_callers_algorithms_count() {
    let only = [Algorithm::RS256];
    assert_eq!(
        code(RFC7515_KEY, RFC7515_JWS, Some(&only)),
        all("alg_refused")
    );
    assert_eq!(
        code(RFC8037_KEY, RFC7515_JWS, None),
        all("key_alg_mismatch")
    );
}

#[test]
fn ecdsa_zeros_and_der_are_refused() {
    let input = RFC7515_JWS.rsplit_once('.').unwrap().0;
    for signature in [
        vec![0_u8; 64],
        vec![0; 63],
        vec![0x30, 6, 2, 1, 1, 2, 1, 1],
        vec![],
    ] {
        let text = tokensmith_engine::jose::encode_base64url(signature);
        let jws = format!("{input}.{text}");
        assert_eq!(code(RFC7515_KEY, &jws, None), all("signature_invalid"));
    }
}

#[test]
fn keys_that_must_not_verify() {
    let off_curve = RFC7515_KEY.replace("x_FEzRu9", "x_FEzRu8");
    let set = set(&off_curve);
    for provider in providers() {
        let ring = KeyRing::new([("", &set)], provider.as_ref());
        assert_eq!(ring.rejected().next().unwrap().error.code(), "jwk_unusable");
        assert!(ring.is_empty());
    }
    let cases = [
        (
            RFC7515_KEY.replace("\"kty\"", "\"d\":\"AA\",\"kty\""),
            "jwk_private",
        ),
        (
            RFC7515_KEY.replace("\"kty\"", "\"use\":\"enc\",\"kty\""),
            "jwk_use",
        ),
        (
            RFC7515_KEY.replace("\"kty\"", "\"key_ops\":[\"sign\"],\"kty\""),
            "jwk_use",
        ),
        (
            RFC7515_KEY.replace("\"kty\"", "\"alg\":\"RS256\",\"kty\""),
            "jwk_alg",
        ),
        (
            RFC7515_KEY.replace("\"kty\"", "\"alg\":\"HS256\",\"kty\""),
            "jwk_unsupported",
        ),
        (RFC7515_KEY.replace("P-256", "secp256k1"), "jwk_unsupported"),
        (RFC7515_KEY.replace("f83O", "83O"), "jwk_malformed"),
        (RFC7638_KEY.replace("AQAB", "AQ"), "jwk_weak"),
        (
            r#"{"kty":"RSA","n":"wQ","e":"AQAB"}"#.to_owned(),
            "jwk_weak",
        ),
        (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), "jwk_private"),
        (r#"3"#.to_owned(), "jwk_malformed"),
    ];
    for (key, code) in cases {
        let text = format!(r#"{{"keys":[{key}]}}"#);
        let set = JwkSet::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(set.rejected[0].error.code(), code, "{key}");
    }
}

//! Whatever comes in: an answer or a typed error, never a panic, and what is accepted obeys the
//! rules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use tokensmith_engine::claims::Claims;
use tokensmith_engine::decide::{Config, normalise_path};
use tokensmith_engine::jose::{
    JwkSet, Jws, Limits, decode_base64url, encode_base64url, parse_object,
};
use tokensmith_engine::policy::{BASELINE_MODEL, Source, compile};

const HEADER: &str = r#"{"alg":"ES256","kid":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","typ":"JWT","crit":["b64"],"b64":false}"#;
const CLAIMS: &str = r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1.5e9,"nbf":-1,"iat":1,"scope":"r w","roles":["role:x"],"auth_factors":2,"session_exp":9,"nested":{"a":[1,{"b":null}]}}"#;
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","use":"sig","alg":"ES256"}]}"#;
const CONFIG: &str = r#"{"issuers":[{"issuer":"i","audiences":["a"],"jwks":{"keys":[]},"require":{"min_auth_level":"IAL2"}}],"mode":"enforce","routes":[{"match":{"prefix":"/n","methods":["GET"]},"object":"o","action":"a"}],"default_route":"deny"}"#;

/// A good text with some bytes put in, taken out or replaced: most of it still parses.
fn altered(seed: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..3u8);
    prop::collection::vec(edit, 0..6).prop_map(move |edits| {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens(text in ".{0,300}") {
        let _ = Jws::parse(&text, &Limits::default());
        let _ = Jws::inspect(&text, &Limits::default());
    }

    #[test]
    fn headers(header in altered(HEADER), payload in altered(CLAIMS)) {
        let token = format!("{}.{}.AAAA", encode_base64url(&header), encode_base64url(&payload));
        let limits = Limits::default();
        if let Ok(jws) = Jws::parse(&token, &limits) {
            // What is accepted says neither `crit` nor `b64`, and names an algorithm that is.
            let map = parse_object(&header, &limits).unwrap();
            prop_assert!(!map.contains_key("crit") && !map.contains_key("b64"));
            prop_assert_eq!(map["alg"].as_str(), Some(jws.header.algorithm.name()));
            prop_assert_eq!(jws.payload, payload);
        }
    }

    #[test]
    fn claims(payload in altered(CLAIMS)) {
        let limits = Limits::default();
        if let Ok(claims) = Claims::parse(payload.clone(), &limits) {
            // The walk and the map agree on everything.
            let map = parse_object(&payload, &limits).unwrap();
            prop_assert_eq!(claims.all(), &map);
            for (name, value) in &map {
                prop_assert_eq!(claims.string(name), value.as_str(), "{}", name);
            }
            let audiences = map.get("aud").map_or(0, |aud| aud.as_array().map_or(1, Vec::len));
            prop_assert_eq!(claims.audiences().count(), audiences);
        }
    }

    #[test]
    fn objects(text in "[\\[\\]{}:,\"a-c0-9 .eE+\\\\u-]{0,40}") {
        let limits = Limits::default();
        let strict = parse_object(text.as_bytes(), &limits);
        let walked = Claims::parse(text.as_bytes(), &limits);
        // No name that this alphabet can spell is one whose type is checked.
        prop_assert_eq!(strict.is_ok(), walked.is_ok());
        if let Ok(map) = strict {
            let loose: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(serde_json::Value::Object(map), loose);
        }
    }

    #[test]
    fn key_sets(document in altered(JWKS)) {
        if let Ok(set) = JwkSet::parse(&document, &Limits::default()) {
            for key in &set.keys {
                prop_assert_eq!(key.thumbprint().len(), 43);
                prop_assert!(!key.spki_der().is_empty());
            }
        }
    }

    #[test]
    fn base64url_has_one_spelling(text in "[A-Za-z0-9_=+/-]{0,24}") {
        if let Some(bytes) = decode_base64url(&text) {
            prop_assert_eq!(encode_base64url(bytes), text);
        }
    }

    #[test]
    fn paths_are_settled(target in "[/a-c.%0-9fFeE;?\\\\]{0,24}") {
        if let Ok(path) = normalise_path(&target) {
            prop_assert!(path.starts_with('/'));
            prop_assert!(!path.split('/').any(|segment| segment == ".." || segment == "."));
            prop_assert!(!path.contains("//") && !path.contains(['?', ';', '\\', '\0']));
        }
    }

    #[test]
    fn configurations(document in altered(CONFIG)) {
        let _ = Config::from_json(&document);
    }

    #[test]
    fn policies(text in "[pg,_ #\n\"a-c*]{0,60}", model in altered(BASELINE_MODEL)) {
        let rules = Source { name: "r", text: &text };
        let _ = compile(Source { name: "m", text: BASELINE_MODEL }, &[rules]);
        if let Ok(model) = String::from_utf8(model) {
            let _ = compile(Source { name: "m", text: &model }, &[rules]);
        }
    }
}

//! The engine beside jsonwebtoken on thousands of made tokens: what the engine accepts the other
//! accepts too, and where only the other does, there is a reason with a name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits, decode_base64url, encode_base64url};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verifier};
use tokensmith_tests::tokens::{Signer, now};

const TOKENS: usize = 1500;

/// Why the engine refuses what jsonwebtoken accepts.
const STRICTER: [(&str, &str); 9] = [
    (
        "typ_refused",
        "a token of another type is no access token (RFC 8725 section 3.11)",
    ),
    (
        "kid_unknown",
        "jsonwebtoken leaves the choice of the key to its caller",
    ),
    (
        "crit_refused",
        "an extension that is not understood has to be refused (RFC 7515 section 4.1.11)",
    ),
    (
        "b64_refused",
        "unencoded payloads are no tokens (RFC 7797 section 7)",
    ),
    (
        "token_malformed",
        "duplicate members, wrong types in the header",
    ),
    ("claim_type", "a claim of another type than its RFC's"),
    (
        "claim_missing",
        "`sub` names the caller: without it there is none",
    ),
    ("token_issued_in_future", "`iat` is to come"),
    ("token_use_refused", "not an access token"),
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

fn header(random: &mut Random, signer: &Signer) -> Value {
    let mut header = json!({"alg": signer.algorithm.name(), "kid": signer.jwk.kid(), "typ": "JWT"});
    let (name, value) = random.of(&[
        ("x", json!(1)),
        ("x", json!({"a": []})),
        ("typ", json!("at+jwt")),
        ("typ", json!("dpop+jwt")),
        ("kid", json!("other")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("jku", json!("https://evil.example")),
    ]);
    if random.below(3) == 0 {
        header[name] = value;
    }
    header
}

fn claims(random: &mut Random, now: i64) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.test", "sub": "alice", "aud": "svc", "iat": now, "nbf": now,
        "exp": now + 3600,
    });
    for _ in 0..random.below(3) {
        let (name, value) = random.of(&[
            ("exp", json!(now - 3600)),
            ("exp", json!(now - 30)),
            ("exp", json!("soon")),
            ("exp", json!(now as f64 + 60.5)),
            ("exp", Value::Null),
            ("nbf", json!(now + 3600)),
            ("nbf", json!(now + 30)),
            ("nbf", json!(true)),
            ("iat", json!(now + 3600)),
            ("aud", json!(["svc", "other"])),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("aud", json!(7)),
            ("iss", json!("https://evil.example")),
            ("iss", json!(["https://issuer.test"])),
            ("sub", json!("")),
            ("sub", Value::Null),
            ("scope", json!({"a": 1})),
            ("token_use", json!("refresh_token")),
            ("extra", json!({"deep": [1, 2, {"er": null}]})),
        ]);
        claims[name] = value;
    }
    claims
}

/// The token, or with one byte of one segment changed.
fn altered(random: &mut Random, token: String) -> String {
    if random.below(4) != 0 {
        return token;
    }
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let segment = &mut segments[random.below(3)];
    let mut bytes = decode_base64url(&*segment).unwrap();
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    *segment = encode_base64url(bytes);
    segments.join(".")
}

#[test]
fn never_laxer_and_stricter_for_a_reason() {
    let mut stricter: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut both, mut neither) = (0, 0);
    for (seed, algorithm, theirs) in [
        (1, Algorithm::RS256, jsonwebtoken::Algorithm::RS256),
        (2, Algorithm::PS256, jsonwebtoken::Algorithm::PS256),
        (3, Algorithm::ES256, jsonwebtoken::Algorithm::ES256),
        (4, Algorithm::EdDSA, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let mut random = Random(seed);
        let signer = Signer::new(algorithm);
        let limits = Limits::default();
        let document = json!({"keys": [signer.jwk.to_json()]}).to_string();
        let set = JwkSet::parse(document.as_bytes(), &limits).unwrap();
        let ring = KeyRing::new([("https://issuer.test", &set)], &AwsLc);
        let verifier = Verifier::new(
            [ClaimRules::generic("https://issuer.test", ["svc"])],
            limits,
        );
        let jwk = serde_json::from_value(signer.jwk.to_json()).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(theirs);
        validation.set_issuer(&["https://issuer.test"]);
        validation.set_audience(&["svc"]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        for _ in 0..TOKENS {
            let now = now();
            let (header, claims) = (header(&mut random, &signer), claims(&mut random, now));
            let token = altered(&mut random, signer.sign_with_header(&header, &claims));
            let ours = verifier.verify(&token, &ring, now);
            let other = jsonwebtoken::decode::<Value>(&token, &key, &validation);
            match (ours, other) {
                (Ok(ours), Ok(other)) => {
                    both += 1;
                    assert_eq!(ours.claims().all(), other.claims.as_object().unwrap());
                }
                (Err(_), Err(_)) => neither += 1,
                (Ok(_), Err(error)) => {
                    panic!("only the engine accepts: {error}, {header} {claims}")
                }
                (Err(error), Ok(_)) => {
                    let reason = STRICTER.iter().find(|(code, _)| *code == error.code());
                    let (code, _) = reason.unwrap_or_else(|| {
                        panic!("no reason for {}: {header} {claims}", error.code())
                    });
                    *stricter.entry(code).or_default() += 1;
                }
            }
        }
    }
    assert!(
        both > TOKENS && neither > TOKENS,
        "{both} accepted, {neither} refused"
    );
    assert!(stricter.len() > 4, "{stricter:?}");
}

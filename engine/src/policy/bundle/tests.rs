use sha2::{Digest as _, Sha256};

use super::*;
use crate::jose::{Algorithm, Jwk, JwkError, JwkSet, PublicKey, encode_base64url};
use crate::keys::{Answer, RefreshPolicy};
use crate::policy::BASELINE_MODEL;
use crate::verify::{External, SignatureProvider, Verdict, VerificationKey};

const ISSUER: &str = "https://tokensmith.example";
const NOW: i64 = 1_800_000_000;

/// Signatures without cryptography: the hash of the key's name and the message.
#[derive(Debug)]
struct Toy;

struct ToyKey(String);

impl SignatureProvider for Toy {
    fn prepare(&self, jwk: &Jwk) -> Result<Option<Box<dyn VerificationKey>>, JwkError> {
        Ok(Some(Box::new(ToyKey(jwk.thumbprint()))))
    }
}

impl VerificationKey for ToyKey {
    fn verify(&self, _algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Verdict {
        if toy_signature(&self.0, message) == signature {
            Verdict::Valid
        } else {
            Verdict::Invalid
        }
    }
}

fn toy_signature(name: &str, message: &[u8]) -> Vec<u8> {
    Sha256::digest([name.as_bytes(), message].concat()).to_vec()
}

fn key(number: u8) -> Jwk {
    let public = PublicKey::Ed25519 {
        x: vec![number; 32],
    };
    Jwk::from_public(public, None).unwrap()
}

/// Key 1 is the issuer's, key 2 another issuer's.
fn keys() -> KeyRing {
    let [own, other] = [1, 2].map(|number| JwkSet {
        keys: vec![key(number)],
        rejected: Vec::new(),
    });
    KeyRing::new([(ISSUER, &own), ("https://other.example", &other)], &Toy)
}

fn sign(number: u8, header: &Value, payload: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        encode_base64url(header.to_string()),
        encode_base64url(payload)
    );
    let signature = toy_signature(&key(number).thumbprint(), input.as_bytes());
    format!("{input}.{}", encode_base64url(signature))
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": BUNDLE_TYPE})
}

fn payload(sequence: u64, rules: &str) -> Map<String, Value> {
    let rules = [Source {
        name: "site.csv",
        text: rules,
    }];
    let bundle = Bundle {
        model: Source {
            name: "model.conf",
            text: BASELINE_MODEL,
        },
        rules: &rules,
        issuer: ISSUER,
        sequence,
        issued_at: NOW,
        not_before: None,
        expires: NOW + 3600,
    };
    bundle.payload().unwrap()
}

/// A good bundle's payload with `change` laid over it; `null` takes a member out.
fn changed(change: &Value) -> Vec<u8> {
    let mut payload = payload(7, "p, role:viewer, nodes, read");
    payload.extend(change.as_object().unwrap().clone());
    payload.retain(|_, value| !value.is_null());
    serde_json::to_vec(&payload).unwrap()
}

fn open_at(
    jws: &str,
    now: i64,
    state: &BundleState,
) -> Result<(OpenedBundle, BundleState), BundleError> {
    let verifier = BundleVerifier {
        issuer: ISSUER,
        keys: &keys(),
        limits: BundleLimits::default(),
    };
    verifier.open(jws, now, state)
}

fn code(jws: &str, now: i64) -> &'static str {
    match open_at(jws, now, &BundleState::default()) {
        Ok(_) => "opened",
        Err(error) => error.code(),
    }
}

#[test]
fn a_good_bundle_is_opened() {
    let text = sign(1, &header(), &changed(&json!({})));
    let (opened, state) = open_at(&text, NOW, &BundleState::default()).unwrap();
    let rules = Source {
        name: "elsewhere",
        text: "p, role:viewer, nodes, read # same meaning",
    };
    let model = Source {
        name: "m",
        text: BASELINE_MODEL,
    };
    let expected = compile(model, &[rules]).unwrap();
    assert_eq!(opened.policy.policy_version(), expected.policy_version());
    assert_eq!((opened.sequence, opened.expires), (7, NOW + 3600));
    assert_eq!(
        state,
        BundleState {
            sequence: 7,
            digest: Some(opened.digest)
        }
    );
}

#[test]
fn the_header_and_the_signature() {
    let good = changed(&json!({}));
    let named = |kid: &str| json!({"alg": "EdDSA", "typ": BUNDLE_TYPE, "kid": kid});
    let typ = |typ: &str| json!({"alg": "EdDSA", "typ": typ});
    let own = key(1).thumbprint();
    let cases = [
        (1, header(), "opened"),
        (1, named(&own), "opened"),
        (1, typ("application/TokenSmith-Policy+JWT"), "opened"),
        (2, header(), "bundle_signature"),
        (2, named(&key(2).thumbprint()), "bundle_signature"),
        (2, named(&own), "bundle_signature"),
        (1, typ("JWT"), "bundle_type"),
        (1, typ("text/tokensmith-policy+jwt"), "bundle_type"),
        (1, json!({"alg": "EdDSA"}), "bundle_type"),
        (
            1,
            json!({"alg": "none", "typ": BUNDLE_TYPE}),
            "bundle_signature",
        ),
        (
            1,
            json!({"alg": "HS256", "typ": BUNDLE_TYPE}),
            "bundle_signature",
        ),
        (
            1,
            json!({"alg": "ES256", "typ": BUNDLE_TYPE}),
            "bundle_signature",
        ),
        (
            1,
            json!({"alg": "EdDSA", "typ": BUNDLE_TYPE, "crit": ["x"]}),
            "bundle_malformed",
        ),
    ];
    for (number, header, expected) in cases {
        let text = sign(number, &header, &good);
        assert_eq!(code(&text, NOW), expected, "{number} {header}");
    }
    let altered = sign(1, &header(), &changed(&json!({"sequence": 8})));
    let (_, signature) = altered.rsplit_once('.').unwrap();
    let text = sign(1, &header(), &good);
    let (input, _) = text.rsplit_once('.').unwrap();
    assert_eq!(
        code(&format!("{input}.{signature}"), NOW),
        "bundle_signature"
    );
    for text in ["", "a.b", "a.b.c", &format!("{text}=")] {
        assert_eq!(code(text, NOW), "bundle_malformed", "{text}");
    }
}

#[test]
fn the_members_of_the_payload() {
    let rule = |rule: Value| json!({"rules": [rule]});
    let cases = [
        (json!({"nbf": NOW + 60}), "opened"),
        (json!({"iat": NOW + 60}), "opened"),
        (json!({"exp": NOW - 59}), "opened"),
        (json!({"exp": NOW - 60}), "bundle_expired"),
        (json!({"nbf": NOW + 61}), "bundle_not_yet_valid"),
        (json!({"iat": NOW + 61}), "bundle_not_yet_valid"),
        (json!({"iss": "https://other.example"}), "bundle_issuer"),
        (json!({"policy_version": "v2:00"}), "bundle_version"),
        (json!({"model": "[request_definition]"}), "policy_syntax"),
        (rule(json!({"name": "a", "text": "p, a"})), "policy_syntax"),
        (
            rule(json!({"name": "a", "text": "p, a, b, c"})),
            "bundle_version",
        ),
        (json!({"note": 1}), "bundle_malformed"),
        (rule(json!({"name": "a"})), "bundle_malformed"),
        (
            rule(json!({"name": "a", "text": "", "note": 1})),
            "bundle_malformed",
        ),
        (rule(json!("p, a, b, c")), "bundle_malformed"),
        (json!({"rules": {}}), "bundle_malformed"),
        (json!({"sequence": -1}), "bundle_malformed"),
        (json!({"sequence": 1.5}), "bundle_malformed"),
        (json!({"sequence": "7"}), "bundle_malformed"),
        (json!({"sequence": 1_u64 << 53}), "bundle_malformed"),
        (json!({"exp": "never"}), "bundle_malformed"),
        (json!({"exp": 1.5}), "bundle_malformed"),
        (json!({"nbf": [1]}), "bundle_malformed"),
    ];
    for (change, expected) in cases {
        let found = code(&sign(1, &header(), &changed(&change)), NOW);
        let same = expected == "policy_syntax" && found.starts_with("policy_");
        assert!(found == expected || same, "{change}: {found}");
    }
    for member in [
        "model",
        "rules",
        "policy_version",
        "iss",
        "sequence",
        "iat",
        "exp",
    ] {
        let payload = changed(&json!({member: null}));
        let found = code(&sign(1, &header(), &payload), NOW);
        assert_eq!(found, "bundle_malformed", "{member}");
    }
    let twice = String::from_utf8(changed(&json!({}))).unwrap();
    let twice = twice.replacen('{', "{\"sequence\":9,", 1);
    for payload in [twice.as_str(), "[]", "{}", "7", "{", ""] {
        let found = code(&sign(1, &header(), payload.as_bytes()), NOW);
        assert_eq!(found, "bundle_malformed", "{payload}");
    }
}

#[test]
fn nothing_older_is_opened_again() {
    let bundle = |sequence: u64, rules: &str| {
        let payload = Value::Object(payload(sequence, rules));
        sign(1, &header(), payload.to_string().as_bytes())
    };
    let (first, second, other) = (
        bundle(1, "p, a, b, c"),
        bundle(2, "p, a, b, c"),
        bundle(2, "p, a, b, d"),
    );
    let rolled_back = |text: &str, state: &BundleState| {
        open_at(text, NOW, state).err().map(|error| error.code()) == Some("bundle_rollback")
    };
    let (_, state) = open_at(&first, NOW, &BundleState::default()).unwrap();
    let (_, state) = open_at(&second, NOW, &state).unwrap();
    assert!(rolled_back(&first, &state));
    assert!(rolled_back(&other, &state));
    let (_, again) = open_at(&second, NOW, &state).unwrap();
    assert_eq!(again, state);
    // The same payload under another signature is the same bundle.
    let payload = Value::Object(payload(2, "p, a, b, c")).to_string();
    let named = json!({"alg": "EdDSA", "typ": BUNDLE_TYPE, "kid": key(1).thumbprint()});
    assert!(open_at(&sign(1, &named, payload.as_bytes()), NOW, &state).is_ok());
    // What an operator pins without having seen a bundle.
    let pinned = BundleState {
        sequence: 2,
        digest: None,
    };
    assert!(rolled_back(&first, &pinned));
    assert!(open_at(&other, NOW, &pinned).is_ok());
}

#[test]
fn limits_are_its_own() {
    // Longer than a token may be.
    let long = format!("# {}\np, a, b, c", "x".repeat(64 * 1024));
    let long = Value::Object(payload(1, &long)).to_string();
    let long = sign(1, &header(), long.as_bytes());
    assert_eq!(code(&long, NOW), "opened");
    let ring = keys();
    let small = BundleVerifier {
        issuer: ISSUER,
        keys: &ring,
        limits: BundleLimits {
            bytes: 64 * 1024,
            rules: 1,
        },
    };
    let error = small.open(&long, NOW, &BundleState::default()).err();
    assert_eq!(error.map(|error| error.code()), Some("bundle_malformed"));
    let texts = |count: usize| {
        let rules = vec![json!({"name": "a", "text": ""}); count];
        sign(1, &header(), &changed(&json!({"rules": rules})))
    };
    let refused = |verifier: BundleVerifier<'_>, count: usize| {
        let opened = verifier.open(&texts(count), NOW, &BundleState::default());
        opened.err().map(|error| error.code())
    };
    // One is let in, to be found of another version.
    assert_eq!(refused(small, 1), Some("bundle_version"));
    assert_eq!(refused(small, 2), Some("bundle_malformed"));
}

#[test]
fn keys_for_checks_outside_verify_nothing() {
    let set = JwkSet {
        keys: vec![key(1)],
        rejected: Vec::new(),
    };
    let ring = KeyRing::new([(ISSUER, &set)], &External);
    let verifier = BundleVerifier {
        issuer: ISSUER,
        keys: &ring,
        limits: BundleLimits::default(),
    };
    let text = sign(1, &header(), &changed(&json!({})));
    assert_eq!(
        verifier.open(&text, NOW, &BundleState::default()).err(),
        Some(BundleError::Signature(VerifyError::KeyUnusable))
    );
}

#[test]
fn what_could_not_be_opened_is_not_made() {
    let rules = [Source {
        name: "site.csv",
        text: "p, a, b, c",
    }];
    let good = Bundle {
        model: Source {
            name: "model.conf",
            text: BASELINE_MODEL,
        },
        rules: &rules,
        issuer: ISSUER,
        sequence: MAX_SEQUENCE,
        issued_at: NOW,
        not_before: Some(NOW + 60),
        expires: NOW + 61,
    };
    assert!(good.payload().is_ok());
    let wrong = [Source {
        name: "site.csv",
        text: "p, a",
    }];
    let many = vec![rules[0]; 1001];
    let long = "# ".repeat(7 * 1024 * 1024);
    let long = [Source {
        name: "site.csv",
        text: &long,
    }];
    let cases = [
        Bundle {
            sequence: MAX_SEQUENCE + 1,
            ..good
        },
        Bundle {
            expires: NOW + 60,
            ..good
        },
        Bundle {
            rules: &many,
            ..good
        },
        Bundle {
            rules: &long,
            ..good
        },
    ];
    for bundle in cases {
        let error = bundle.payload().err().map(|error| error.code());
        assert_eq!(error, Some("bundle_malformed"));
    }
    let error = Bundle {
        rules: &wrong,
        ..good
    }
    .payload()
    .unwrap_err();
    assert_eq!(error.code(), "policy_syntax");
    assert!(error.to_string().starts_with("site.csv:1:"), "{error}");
}

/// A signed bundle with this sequence and `exp`.
fn signed(sequence: u64, expires: i64) -> String {
    let change = json!({"sequence": sequence, "exp": expires});
    sign(1, &header(), &changed(&change))
}

fn answer<'a>(body: &'a str, etag: Option<&'a str>) -> Answer<'a> {
    Answer {
        status: 200,
        etag,
        body: body.as_bytes(),
        ..Answer::default()
    }
}

fn follower() -> BundleFollower {
    let refresh = RefreshPolicy {
        jitter: 0,
        ..BundleFollower::REFRESH
    };
    BundleFollower::new(ISSUER, "u", refresh, 0)
}

#[test]
fn a_follower_takes_later_bundles_and_no_earlier_ones() {
    let mut follower = follower();
    let fetch = follower.poll(NOW).unwrap();
    let eight = signed(8, NOW + 3600);
    let opened = follower.fetched(fetch.id, &answer(&eight, Some("\"8\"")), &keys(), NOW);
    assert!(opened.unwrap().is_some());
    assert!(follower.poll(NOW + 59).is_none(), "it is fresh");
    let fetch = follower.poll(NOW + 60).unwrap();
    assert_eq!(fetch.etag.as_deref(), Some("\"8\""));
    let unchanged = Answer {
        status: 304,
        ..Answer::default()
    };
    let same = follower.fetched(fetch.id, &unchanged, &keys(), NOW + 60);
    assert!(same.unwrap().is_none());
    let seven = signed(7, NOW + 3600);
    let fetch = follower.poll(NOW + 120).unwrap();
    let older = follower.fetched(fetch.id, &answer(&seven, None), &keys(), NOW + 120);
    assert_eq!(older.unwrap_err().code(), "bundle_rollback");
    assert_eq!(follower.state().sequence, 8);
    let nine = signed(9, NOW + 3600);
    let later = follower.share(NOW + 130, &answer(&nine, None), &keys(), NOW + 131);
    assert!(later.unwrap().is_some());
    assert_eq!(follower.state().sequence, 9);
}

#[test]
fn a_follower_remembers_and_its_bundle_ends() {
    let mut follower = follower();
    follower.remember(&BundleState {
        sequence: 8,
        digest: None,
    });
    let seven = signed(7, NOW + 100);
    let refused = follower.share(NOW, &answer(&seven, None), &keys(), NOW);
    assert_eq!(refused.unwrap_err().code(), "bundle_rollback");
    let eight = signed(8, NOW + 100);
    let opened = follower.share(NOW, &answer(&eight, None), &keys(), NOW);
    assert!(opened.unwrap().is_some());
    assert!(!follower.ends(NOW + 159), "within the leeway");
    assert!(follower.ends(NOW + 160) && !follower.ends(NOW + 161));
    let again = follower.share(NOW + 161, &answer(&eight, None), &keys(), NOW + 161);
    assert_eq!(again.unwrap_err().code(), "bundle_expired");
}

#[test]
fn a_follower_waits_for_the_key_of_its_bundle() {
    let mut follower = follower();
    let text = signed(8, NOW + 3600);
    let none = KeyRing::default();
    let refused = follower.share(NOW, &answer(&text, None), &none, NOW);
    assert_eq!(refused.unwrap_err().missing_kid(), Some(""));
    assert!(follower.retry(&none, NOW).unwrap().is_err());
    assert!(follower.retry(&keys(), NOW).unwrap().is_ok());
    assert!(follower.retry(&keys(), NOW).is_none(), "none waits");
    let late = follower.fetched(99, &answer(&text, None), &keys(), NOW);
    assert_eq!(late.unwrap_err(), BundleFetchError::Late);
}

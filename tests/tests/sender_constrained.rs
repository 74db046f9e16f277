//! Tokens bound to a key (RFC 9449) or a client certificate (RFC 8705): in the engine's whole
//! decision, and the examples that the RFCs print.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use serde_json::{Value, json};
use tokensmith_engine::binding::{
    CertificateThumbprint, DpopRules, ProofRequest, Replay, ReplayCache,
};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::decide::{Config, Decider, Memory, Outcome, Request};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits, decode_base64url};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine::verify::{KeyRing, SignatureProvider, Verifier};
use tokensmith_tests::tokens::{Signer, claims, now};

const TARGET: &str = "https://api.test/nodes";
const RFC: &str = include_str!("../vectors/rfc.json");

struct Fixture {
    issuer: Signer,
    client: Signer,
    decider: Decider,
    ring: KeyRing,
    memory: Memory,
    now: i64,
}

impl Fixture {
    fn new(require: Value) -> Self {
        let issuer = Signer::new(Algorithm::ES256);
        let document = json!({"keys": [issuer.jwk.to_json()]});
        let config = json!({
            "issuers": [{
                "issuer": "https://issuer.test", "audiences": ["svc"], "jwks": document,
                "require": require,
            }],
            "routes": [
                {"match": {"prefix": "/nodes"}, "object": "metadata:nodes", "action": "read"},
            ],
        });
        let config = Config::from_json(config.to_string().as_bytes()).unwrap();
        let set = JwkSet::parse(document.to_string().as_bytes(), &Limits::default()).unwrap();
        Self {
            decider: Decider::new(&config, Limits::default(), AwsLc).unwrap(),
            ring: KeyRing::new([("https://issuer.test", &set)], &AwsLc),
            memory: Memory::new(16, [0; 16]),
            client: Signer::new(Algorithm::EdDSA),
            issuer,
            now: now(),
        }
    }

    fn token(&self, cnf: Value) -> String {
        self.issuer.sign(&claims(&json!({"cnf": cnf})))
    }

    fn bound_to_key(&self) -> String {
        self.token(json!({"jkt": self.client.jwk.thumbprint()}))
    }

    /// A good proof for GET /nodes with `header` and `payload` laid over it.
    fn proof(&self, token: &str, header: Value, payload: Value) -> String {
        self.client.proof(TARGET, token, &header, &payload)
    }

    fn ask(&mut self, scheme: &str, token: &str, dpop: Option<&str>) -> Outcome<'static> {
        self.ask_with(scheme, token, dpop, None)
    }

    fn ask_with(
        &mut self,
        scheme: &str,
        token: &str,
        dpop: Option<&str>,
        certificate: Option<CertificateThumbprint>,
    ) -> Outcome<'static> {
        let authorization = format!("{scheme} {token}");
        let request = Request {
            method: "GET",
            target: "/nodes?limit=1",
            authorization: Some(&authorization),
            scheme: "https",
            authority: "api.test",
            dpop,
            certificate,
            ..Request::default()
        };
        self.decider
            .decide(&request, &self.ring, &mut self.memory, self.now)
            .into_owned()
    }
}

fn code(outcome: &Outcome<'_>) -> Option<&'static str> {
    assert_eq!(outcome.record.error.is_some(), !outcome.is_allowed());
    outcome.record.error
}

fn challenge<'o>(outcome: &'o Outcome<'_>) -> &'o str {
    let headers = &outcome.denial.as_ref().unwrap().headers;
    let found = headers.iter().find(|(name, _)| *name == "www-authenticate");
    &found.unwrap().1
}

#[test]
fn a_token_bound_to_a_key_needs_a_proof_each_time() {
    let mut fixture = Fixture::new(json!({}));
    let token = fixture.bound_to_key();
    // The second round has the token in the cache.
    for round in ["a", "b"] {
        let good = fixture.proof(&token, json!({}), json!({"jti": round}));
        assert_eq!(code(&fixture.ask("DPoP", &token, Some(&good))), None);
        let again = fixture.ask("DPoP", &token, Some(&good));
        assert_eq!(code(&again), Some("dpop_replayed"));
        assert!(challenge(&again).starts_with(
            r#"DPoP realm="tokensmith", error="invalid_dpop_proof", error_description="dpop_replayed", algs="RS256 "#
        ));
        let alone = fixture.ask("DPoP", &token, None);
        assert_eq!(code(&alone), Some("dpop_missing"));
        assert!(challenge(&alone).contains(r#"error="invalid_token""#));
        let bearer = fixture.ask("Bearer", &token, Some(&good));
        assert_eq!(code(&bearer), Some("dpop_scheme"));
    }
}

#[test]
fn proofs_that_are_not_for_this_request() {
    let mut fixture = Fixture::new(json!({}));
    let token = fixture.bound_to_key();
    let now = fixture.now;
    let thief = Signer::new(Algorithm::ES256);
    let private = {
        let mut jwk = fixture.client.jwk.to_json();
        jwk["d"] = json!("AAAA");
        jwk
    };
    let claim = |name: &str, value: Value| (json!({}), json!({name: value}));
    let header = |name: &str, value: Value| (json!({name: value}), json!({}));
    let cases = [
        (claim("htm", json!("POST")), "dpop_method_mismatch"),
        (claim("htm", json!("get")), "dpop_method_mismatch"),
        (claim("htm", json!(null)), "dpop_malformed"),
        (
            claim("htu", json!("https://api.test/node")),
            "dpop_target_mismatch",
        ),
        (
            claim("htu", json!("http://api.test/nodes")),
            "dpop_target_mismatch",
        ),
        (
            claim("htu", json!("https://evil.test/nodes")),
            "dpop_target_mismatch",
        ),
        (claim("htu", json!(null)), "dpop_malformed"),
        (claim("iat", json!(now - 120)), "dpop_not_recent"),
        (claim("iat", json!(now + 61)), "dpop_not_recent"),
        (claim("iat", json!("now")), "dpop_malformed"),
        (claim("iat", json!(null)), "dpop_malformed"),
        (claim("jti", json!("")), "dpop_malformed"),
        (claim("jti", json!(7)), "dpop_malformed"),
        (claim("ath", json!("AAAA")), "dpop_token_mismatch"),
        (claim("ath", json!(null)), "dpop_malformed"),
        (header("typ", json!("JWT")), "dpop_malformed"),
        (header("typ", json!(null)), "dpop_malformed"),
        (header("alg", json!("ES256")), "dpop_malformed"),
        (header("alg", json!("none")), "dpop_malformed"),
        (header("alg", json!("HS256")), "dpop_malformed"),
        (header("jwk", json!(null)), "dpop_malformed"),
        (header("jwk", private), "dpop_malformed"),
        (header("crit", json!(["b64"])), "dpop_malformed"),
    ];
    for ((header, payload), expected) in cases {
        let proof = fixture.proof(&token, header.clone(), payload.clone());
        let outcome = fixture.ask("DPoP", &token, Some(&proof));
        assert_eq!(code(&outcome), Some(expected), "{header} {payload}");
    }
    let foreign = thief.proof(TARGET, &token, &json!({}), &json!({}));
    let outcome = fixture.ask("DPoP", &token, Some(&foreign));
    assert_eq!(code(&outcome), Some("dpop_key_mismatch"));
    // The thief's signature under the client's key.
    let forged = thief.proof(TARGET, &token, &json!({}), &json!({}));
    let good = fixture.proof(&token, json!({}), json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = forged.rsplit_once('.').unwrap();
    let forged = format!("{input}.{signature}");
    let outcome = fixture.ask("DPoP", &token, Some(&forged));
    assert_eq!(code(&outcome), Some("dpop_signature_invalid"));
    let twice = format!("{good},{good}");
    assert_eq!(
        code(&fixture.ask("DPoP", &token, Some(&twice))),
        Some("dpop_malformed")
    );
    assert_eq!(code(&fixture.ask("DPoP", &token, Some(&good))), None);
}

#[test]
fn a_token_bound_to_a_certificate_needs_that_certificate() {
    let mut fixture = Fixture::new(json!({}));
    let own = CertificateThumbprint::of_der(b"own");
    let token = fixture.token(json!({"x5t#S256": own.to_base64url()}));
    for _ in 0..2 {
        let shown = |certificate: &[u8]| Some(CertificateThumbprint::of_der(certificate));
        for (certificate, expected) in [
            (shown(b"own"), None),
            (shown(b"other"), Some("certificate_mismatch")),
            (None, Some("certificate_missing")),
        ] {
            let outcome = fixture.ask_with("Bearer", &token, None, certificate);
            assert_eq!(code(&outcome), expected);
        }
        let outcome = fixture.ask_with("DPoP", &token, None, shown(b"own"));
        assert_eq!(code(&outcome), Some("dpop_scheme"));
    }
    // Bound to both, both are needed.
    let both = fixture.token(json!({
        "x5t#S256": own.to_base64url(), "jkt": fixture.client.jwk.thumbprint(),
    }));
    let good = fixture.proof(&both, json!({}), json!({}));
    let outcome = fixture.ask_with("DPoP", &both, Some(&good), None);
    assert_eq!(code(&outcome), Some("certificate_missing"));
    let good = fixture.proof(&both, json!({}), json!({"jti": "2"}));
    let outcome = fixture.ask_with("DPoP", &both, Some(&good), Some(own));
    assert_eq!(code(&outcome), None);
}

#[test]
fn confirmations_that_are_not_understood_and_tokens_that_must_be_bound() {
    let mut fixture = Fixture::new(json!({}));
    for (cnf, expected) in [
        (json!({}), "cnf_unsupported"),
        (json!({"kid": "k"}), "cnf_unsupported"),
        (json!({"jkt": "AAAA"}), "cnf_unsupported"),
        (json!({"jkt": 1}), "cnf_unsupported"),
        (json!("jkt"), "claim_type"),
    ] {
        let token = fixture.token(cnf.clone());
        assert_eq!(
            code(&fixture.ask("Bearer", &token, None)),
            Some(expected),
            "{cnf}"
        );
    }
    let free = fixture.issuer.sign(&claims(&json!({})));
    assert_eq!(code(&fixture.ask("Bearer", &free, None)), None);
    assert_eq!(code(&fixture.ask("DPoP", &free, None)), Some("dpop_scheme"));

    let mut strict = Fixture::new(json!({"sender_constrained": true}));
    let free = strict.issuer.sign(&claims(&json!({})));
    for _ in 0..2 {
        let outcome = strict.ask("Bearer", &free, None);
        assert_eq!(code(&outcome), Some("token_not_bound"));
    }
    let token = strict.bound_to_key();
    let good = strict.proof(&token, json!({}), json!({}));
    assert_eq!(code(&strict.ask("DPoP", &token, Some(&good))), None);
}

#[test]
fn the_plain_verifier_refuses_what_is_bound() {
    let fixture = Fixture::new(json!({}));
    let rules = ClaimRules::tokensmith("https://issuer.test", ["svc"]);
    let verifier = Verifier::new([rules], Limits::default());
    let verify = |token: &str| verifier.verify(token, &fixture.ring, fixture.now);
    let error = verify(&fixture.bound_to_key()).unwrap_err();
    assert_eq!(error.code(), "dpop_scheme");
    let own = CertificateThumbprint::of_der(b"own").to_base64url();
    let error = verify(&fixture.token(json!({"x5t#S256": own}))).unwrap_err();
    assert_eq!(error.code(), "certificate_missing");
}

#[test]
fn examples_of_rfc_9449_and_rfc_8705() {
    let vectors: Value = serde_json::from_str(RFC).unwrap();
    let mut checked = 0;
    for provider in [&AwsLc as &dyn SignatureProvider, &Portable] {
        for example in vectors["dpop"].as_array().unwrap() {
            let text = |name: &str| example[name].as_str().unwrap();
            let request = ProofRequest {
                method: text("htm"),
                uri: text("htu"),
                access_token: example["access_token"].as_str(),
                jkt: None,
                nonce: None,
            };
            let iat = example["iat"].as_i64().unwrap();
            let rules = DpopRules::default();
            let limits = Limits::default();
            let begin = |now| rules.begin(text("proof"), &request, &limits, provider, now);
            let job = begin(iat + 1).unwrap();
            let verdict = job.effect().run().unwrap();
            let proof = job.finish(verdict).unwrap();
            let mut seen = ReplayCache::new(4);
            let (key, until) = (proof.replay_key(), proof.remember_until());
            let proof = proof.finish(seen.check(key, until, iat)).unwrap();
            assert_eq!(proof.jkt(), text("jkt"));
            assert_eq!(seen.check(key, until, until - 1), Replay::Seen);
            assert!(
                begin(until).is_err(),
                "no proof outlives what is remembered of it"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
    let certificate = &vectors["certificates"][0];
    let der: Vec<u8> = decode_base64url(
        certificate["der_b64"]
            .as_str()
            .unwrap()
            .replace('+', "-")
            .replace('/', "_")
            .trim_end_matches('='),
    )
    .unwrap();
    assert_eq!(
        CertificateThumbprint::of_der(&der).to_base64url(),
        certificate["x5t#S256"].as_str().unwrap()
    );
}

use std::hint::black_box;

use aws_lc_rs::signature::{self, ParsedPublicKey};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{Algorithm, JwkSet, Jws, Limits, PublicKey};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, Verifier};
use tokensmith_tests::tokens::{Signer, claims, now};

/// A token verified and its claims checked, each with a key that is ready.
pub(crate) fn compare(report: &mut Report) {
    for (algorithm, theirs) in [
        (Algorithm::RS256, jsonwebtoken::Algorithm::RS256),
        (Algorithm::PS256, jsonwebtoken::Algorithm::PS256),
        (Algorithm::ES256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::EdDSA, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let signer = Signer::new(algorithm);
        let token = signer.sign(&claims(&json!({})));
        let limits = Limits::default();
        let document = json!({"keys": [signer.jwk.to_json()]}).to_string();
        let set = JwkSet::parse(document.as_bytes(), &limits).unwrap();
        let ring = KeyRing::new([("https://issuer.test", &set)], &AwsLc);
        let rules = ClaimRules::tokensmith("https://issuer.test", ["svc"]);
        let verifier = Verifier::new([rules], limits.clone());
        let now = now();

        let jws = Jws::parse(&token, &limits).unwrap();
        let key = raw_key(&signer);

        let jwk = serde_json::from_value(signer.jwk.to_json()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(theirs);
        validation.set_issuer(&["https://issuer.test"]);
        validation.set_audience(&["svc"]);
        validation.validate_nbf = true;

        let measured = take_turns(vec![
            Contestant::new("signature check alone (aws-lc-rs)", || {
                key.verify_sig(jws.signing_input.as_bytes(), black_box(&jws.signature))
                    .unwrap();
            }),
            Contestant::new("tokensmith-engine", || {
                black_box(verifier.verify(black_box(&token), &ring, now).unwrap());
            }),
            Contestant::new("jsonwebtoken 11 (aws-lc-rs)", || {
                black_box(
                    jsonwebtoken::decode::<Value>(black_box(&token), &decoding, &validation)
                        .unwrap(),
                );
            }),
        ]);
        report.compare(&format!("verify, {algorithm}"), &measured);
    }
}

fn raw_key(signer: &Signer) -> ParsedPublicKey {
    let (algorithm, encoded): (&'static dyn signature::VerificationAlgorithm, Vec<u8>) =
        match (signer.algorithm, signer.jwk.public_key()) {
            (Algorithm::RS256, _) => (
                &signature::RSA_PKCS1_2048_8192_SHA256,
                signer.jwk.spki_der(),
            ),
            (Algorithm::PS256, _) => (&signature::RSA_PSS_2048_8192_SHA256, signer.jwk.spki_der()),
            (_, PublicKey::Ec { x, y, .. }) => (
                &signature::ECDSA_P256_SHA256_FIXED,
                [&[4], x.as_slice(), y.as_slice()].concat(),
            ),
            (_, PublicKey::Ed25519 { x }) => (&signature::ED25519, x.clone()),
            (other, _) => panic!("no raw key for {other}"),
        };
    ParsedPublicKey::new(algorithm, encoded).unwrap()
}

//! Policy bundles under real signatures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, JwkSet};
use tokensmith_engine::policy::{
    BASELINE_MODEL, BUNDLE_TYPE, Bundle, BundleLimits, BundleState, BundleVerifier, Source,
};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine::verify::{KeyRing, SignatureProvider};
use tokensmith_tests::tokens::{Signer, claims, now};

const ISSUER: &str = "https://issuer.test";

fn signed(signer: &Signer, typ: &str) -> String {
    let rules = [Source {
        name: "site.csv",
        text: "p, role:viewer, nodes, read\n",
    }];
    let bundle = Bundle {
        model: Source {
            name: "model.conf",
            text: BASELINE_MODEL,
        },
        rules: &rules,
        issuer: ISSUER,
        sequence: 1,
        issued_at: now(),
        not_before: None,
        expires: now() + 3600,
    };
    let header = json!({"alg": signer.algorithm.name(), "kid": signer.jwk.kid(), "typ": typ});
    signer.sign_with_header(&header, &Value::Object(bundle.payload().unwrap()))
}

#[test]
fn every_provider_opens_it_and_no_token_passes_for_it() {
    for algorithm in [
        Algorithm::ES256,
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::EdDSA,
    ] {
        let (signer, stranger) = (Signer::new(algorithm), Signer::new(algorithm));
        let set = JwkSet {
            keys: vec![signer.jwk.clone()],
            rejected: Vec::new(),
        };
        let providers: [&dyn SignatureProvider; 2] = [&AwsLc, &Portable];
        for provider in providers {
            let keys = KeyRing::new([(ISSUER, &set)], provider);
            let verifier = BundleVerifier {
                issuer: ISSUER,
                keys: &keys,
                limits: BundleLimits::default(),
            };
            let code = |text: &str| match verifier.open(text, now(), &BundleState::default()) {
                Ok((opened, state)) => {
                    assert_eq!((opened.sequence, state.sequence), (1, 1));
                    "opened"
                }
                Err(error) => error.code(),
            };
            let name = algorithm.name();
            assert_eq!(code(&signed(&signer, BUNDLE_TYPE)), "opened", "{name}");
            assert_eq!(
                code(&signed(&stranger, BUNDLE_TYPE)),
                "bundle_signature",
                "{name}"
            );
            assert_eq!(code(&signed(&signer, "JWT")), "bundle_type", "{name}");
            let token = signer.sign(&claims(&json!({})));
            assert_eq!(code(&token), "bundle_type", "{name}");
        }
    }
}

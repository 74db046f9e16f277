//! A DPoP header, and the `htu` inside: a typed error, or a job for the key inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::binding::{DpopRules, ProofRequest};
use tokensmith_engine::jose::{Limits, encode_base64url};
use tokensmith_engine::verify::External;

const HEADER: &str = r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}"#;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, payload) = input;
    let request = ProofRequest {
        method: "GET",
        uri: "https://a.example/b",
        access_token: None,
        jkt: None,
        nonce: None,
    };
    let limits = Limits::default();
    let rules = DpopRules::default();
    let _ = rules.begin(text, &request, &limits, &External, 1000);
    let whole = format!(
        "{}.{}.AQ",
        encode_base64url(HEADER),
        encode_base64url(payload)
    );
    if let Ok(job) = rules.begin(&whole, &request, &limits, &External, 1000) {
        assert!(!job.effect().message.is_empty());
    }
});

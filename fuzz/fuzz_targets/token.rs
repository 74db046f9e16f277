//! A whole token: refused with a code, or one spelling of what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::{JwkSet, Jws, Limits, encode_base64url};
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::{External, KeyRing, Verdict, Verifier};

const KEYS: &[u8] = br#"{"keys":[
    {"kty":"EC","crv":"P-256","kid":"e","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    {"kty":"OKP","crv":"Ed25519","kid":"o","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    let shown = Jws::inspect(text, &limits);
    let Ok(jws) = Jws::parse(text, &limits) else {
        return;
    };
    let header = text.split('.').next().unwrap_or_default();
    let again = format!(
        "{header}.{}.{}",
        encode_base64url(&jws.payload),
        encode_base64url(&jws.signature)
    );
    assert_eq!(again, text, "one spelling");
    // Whatever the signature is taken for, the claims are held to the rules.
    let set = JwkSet::parse(KEYS, &limits).expect("keys");
    let ring = KeyRing::new([("i", &set)], &External);
    let verifier = Verifier::new([ClaimRules::generic("i", ["a"])], limits);
    if let Ok(job) = verifier.begin(text, &ring, 1000)
        && let Ok(verified) = job.finish(Verdict::Valid)
    {
        let claims = verified.claims();
        assert_eq!(claims.iss(), Some("i"));
        assert!(claims.audiences().any(|aud| aud == "a"));
        assert!(claims.exp().is_some_and(|exp| exp > 1000 - 60));
        assert!(verified.valid_until() > 1000);
        assert_eq!(&shown.expect("shown").payload, claims.all());
        assert!(!Principal::from_verified(&verified).id().is_empty());
    }
});

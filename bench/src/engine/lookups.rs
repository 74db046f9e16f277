use std::hint::black_box;
use std::sync::Arc;

use serde_json::json;
use tokensmith_bench::{Contestant, Report, take_turns};
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::verify::{Cached, External, KeyRing, VerdictCache, VerifyError};
use tokensmith_tests::tokens::{Signer, claims};

const ISSUER: &str = "https://issuer.test";

/// What a token costs that was seen before, and finding its key among a hundred.
pub(crate) fn compare(report: &mut Report) {
    cache(report);
    keys(report);
}

fn cache(report: &mut Report) {
    let signer = Signer::new(Algorithm::EdDSA);
    let tokens: Vec<String> = (0..4000)
        .map(|number| signer.sign(&claims(&json!({"sub": format!("user-{number}")}))))
        .collect();
    let mut verified = VerdictCache::new(10_000, [1; 16]);
    let mut refused: VerdictCache<Arc<u32>> = VerdictCache::new(100_000, [1; 16]);
    let error = Arc::new(VerifyError::Signature);
    for token in &tokens {
        let digest = verified.digest(token);
        verified.insert(digest, Arc::new(1_u32), 100);
        refused.refuse(digest, &error, 1);
    }
    let length = tokens[0].len();
    let digester = VerdictCache::<()>::new(0, [1; 16]);
    let mut known = tokens.iter().cycle();
    let mut bad = tokens.iter().cycle();
    let mut digested = tokens.iter().cycle();
    let measured = take_turns(vec![
        Contestant::new("digest alone (SipHash-2-4)", || {
            black_box(digester.digest(black_box(digested.next().unwrap())));
        }),
        Contestant::new("verified before", || {
            let digest = verified.digest(black_box(known.next().unwrap()));
            assert!(matches!(
                verified.get(&digest, 2),
                Some(Cached::Verified(_))
            ));
        }),
        Contestant::new("refused before", || {
            let digest = refused.digest(black_box(bad.next().unwrap()));
            assert!(matches!(refused.get(&digest, 2), Some(Cached::Refused(_))));
        }),
    ]);
    report.compare(
        &format!("cache hit, 4,000 distinct tokens of {length} bytes"),
        &measured,
    );
}

fn keys(report: &mut Report) {
    let keys: Vec<_> = (0..100)
        .map(|_| Signer::new(Algorithm::ES256).jwk.to_json())
        .collect();
    let document = json!({"keys": keys}).to_string();
    let set = JwkSet::parse(document.as_bytes(), &Limits::default()).unwrap();
    let ring = KeyRing::new([(ISSUER, &set)], &External);
    let kids: Vec<&str> = set.keys.iter().filter_map(|key| key.kid()).collect();
    let mut there = kids.iter().cycle();
    let measured = take_turns(vec![
        Contestant::new("there", || {
            assert!(ring.has_key(black_box(ISSUER), black_box(there.next().unwrap())));
        }),
        Contestant::new("not there", || {
            assert!(!ring.has_key(black_box(ISSUER), black_box("not-a-key-of-this-issuer")));
        }),
    ]);
    report.compare("a key among 100", &measured);
}

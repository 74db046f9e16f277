//! A JWK set: what is taken is published again as the same keys, and every provider's verdict on
//! a signature of zeros is no.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::jose::{Algorithm, JwkSet, Limits};
use tokensmith_engine::keys::{Answer, JwksSource, RefreshPolicy};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{Key, KeyRing};

fuzz_target!(|body: &[u8]| {
    let limits = Limits::default();
    let mut source = JwksSource::new("u", RefreshPolicy::default(), 1);
    let fetch = source.poll(0).expect("a fetch");
    let answer = Answer {
        status: 200,
        body,
        ..Answer::default()
    };
    let taken = source.fetched(fetch.id, &answer, &limits).is_ok();
    let Ok(set) = JwkSet::parse(body, &limits) else {
        assert!(!taken);
        return;
    };
    assert_eq!(taken, !set.keys.is_empty());
    let published = set.to_json().to_string();
    let again = JwkSet::parse(published.as_bytes(), &limits).expect("published");
    assert_eq!(again.keys, set.keys);
    assert!(again.rejected.is_empty());
    let ring = KeyRing::new([("i", &set)], &AwsLc);
    assert!(ring.len() + ring.rejected().count() <= set.keys.len());
    for jwk in &set.keys {
        let kid = jwk.kid().map_or_else(|| jwk.thumbprint(), str::to_owned);
        assert!(ring.has_key("i", &kid) || ring.rejected().any(|own| own.kid == kid));
        if let Ok(key) = Key::prepare(jwk, &AwsLc) {
            for algorithm in Algorithm::ALL {
                use tokensmith_engine::verify::Verdict;
                assert_eq!(
                    key.verify(algorithm, b"message", &[0; 64]),
                    Some(Verdict::Invalid)
                );
            }
        }
    }
});

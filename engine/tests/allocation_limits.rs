//! Whatever comes in, memory is bounded by its own length or by the limits, and a cache's look-up
//! takes none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use tokensmith_engine::binding::{DpopRules, ProofRequest};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::jose::{JwkSet, Jws, Limits, encode_base64url};
use tokensmith_engine::verify::{Cached, External, KeyRing, VerdictCache};

/// The most bytes held at once while `work` runs.
fn peak(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}

/// JSON that makes much of little: empty arrays and objects, many members, long strings.
fn hostile_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[],".to_owned()),
        Just("{},".to_owned()),
        Just("\"\",".to_owned()),
        Just("1,".to_owned()),
        Just("\"a\":".to_owned()),
        (0..5000u32).prop_map(|name| format!("\"{name}\":[\"\",\"\"],")),
        (1..3000usize).prop_map(|length| format!("\"{}\",", "\\u0041".repeat(length / 6))),
        Just("1e99999999999,".to_owned()),
    ];
    prop::collection::vec(piece, 0..800).prop_map(|pieces| format!("{{{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens(header in hostile_json(), payload in hostile_json()) {
        let token = format!("{}.{}.AQ", encode_base64url(&header), encode_base64url(&payload));
        let limits = Limits::default();
        let bound = 8 * limits.token_bytes as u64;
        let held = peak(|| {
            if let Ok(jws) = Jws::parse(&token, &limits) {
                let _ = Claims::parse(jws.payload, &limits);
            }
        });
        prop_assert!(held <= bound, "{held} bytes for a token of {}", token.len());
        let held = peak(|| drop(Claims::parse(payload.as_bytes(), &limits)));
        prop_assert!(held <= 2 * payload.len() as u64 + bound, "{held}");
        let request = ProofRequest { method: "GET", uri: "https://a/b", access_token: None, jkt: None, nonce: None };
        let held = peak(|| drop(DpopRules::default().begin(&token, &request, &limits, &External, 0)));
        prop_assert!(held <= 2 * bound, "{held}");
    }

    #[test]
    fn key_sets(body in hostile_json()) {
        let limits = Limits::default();
        let held = peak(|| {
            if let Ok(set) = JwkSet::parse(body.as_bytes(), &limits) {
                drop(KeyRing::new([("i", &set)], &External));
            }
        });
        prop_assert!(held <= 200 * body.len() as u64 + 65_536, "{held} bytes for {}", body.len());
    }
}

#[test]
fn a_token_that_is_too_long_costs_nothing() {
    let limits = Limits::default();
    let long = format!("{}.e30.AQ", "A".repeat(50_000_000));
    assert_eq!(peak(|| assert!(Jws::parse(&long, &limits).is_err())), 0);
    let body = vec![b'['; 50_000_000];
    assert_eq!(peak(|| assert!(JwkSet::parse(&body, &limits).is_err())), 0);
}

#[test]
fn deep_documents_end_early() {
    let limits = Limits::default();
    for open in ["[", "{\"a\":", "[[{\"a\":"] {
        let deep = format!("{{\"a\":{}", open.repeat(1_000_000));
        assert!(Claims::parse(deep.as_bytes(), &limits).is_err());
        assert!(
            JwkSet::parse(
                &deep.as_bytes()[..limits.jwk_set_bytes.min(deep.len())],
                &limits
            )
            .is_err()
        );
    }
}

#[test]
fn a_look_up_in_a_full_cache_allocates_nothing() {
    let mut cache = VerdictCache::new(1000, [0; 16]);
    let digests: Vec<_> = (0..5000)
        .map(|number| cache.digest(&number.to_string()))
        .collect();
    let filling = allocation_counter::measure(|| {
        for digest in &digests {
            cache.insert(*digest, 1_u8, 10);
        }
    });
    assert_eq!(filling.count_total, 0, "the room is taken once");
    let looking = allocation_counter::measure(|| {
        // Hits in both generations, moves between them, and misses.
        for _ in 0..20 {
            let hits = digests
                .iter()
                .filter(|digest| matches!(cache.get(digest, 1), Some(Cached::Verified(1))))
                .count();
            assert!(hits > 0 && hits <= 1000);
        }
    });
    assert_eq!(looking.count_total, 0);
}

//! A payload: refused, or read as the building parser reads it, and held to the rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::claims::{ClaimRules, Claims, Requirements};
use tokensmith_engine::jose::{Limits, parse_object};

fuzz_target!(|payload: &[u8]| {
    let limits = Limits::default();
    let built = parse_object(payload, &limits);
    let Ok(claims) = Claims::parse(payload, &limits) else {
        return;
    };
    let built = built.expect("an object");
    assert_eq!(claims.all(), &built);
    for name in built.keys() {
        let one = built[name].as_str();
        assert_eq!(claims.string(name), one);
        let many: Option<Vec<&str>> = built[name].as_array().map(|array| {
            array
                .iter()
                .filter_map(|element| element.as_str())
                .collect()
        });
        let strings: Vec<&str> = claims.strings(name).collect();
        assert_eq!(strings, many.unwrap_or_else(|| one.into_iter().collect()));
    }
    let _ = claims.confirmation();
    for mut rules in [
        ClaimRules::tokensmith("i", ["a"]),
        ClaimRules::generic("i", ["a"]),
    ] {
        rules.requirements = Requirements {
            max_lifetime_s: Some(3600),
            min_factors: Some(2),
            ..Requirements::default()
        };
        if rules.check(&claims, 1000).is_ok() {
            let (exp, iat) = (claims.exp().expect("exp"), claims.iat().expect("iat"));
            assert!(exp > 940 && iat <= 1060 && exp - iat <= 3600);
        }
    }
});

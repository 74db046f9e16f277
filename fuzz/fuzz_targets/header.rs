//! A header's JSON: refused, or read as the building parser reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::jose::{Jws, Limits, encode_base64url, parse_object};

fuzz_target!(|header: &[u8]| {
    let limits = Limits::default();
    let token = format!("{}.e30.AQ", encode_base64url(header));
    let Ok(jws) = Jws::parse(&token, &limits) else {
        return;
    };
    let map = parse_object(header, &limits).expect("an object");
    assert!(!map.contains_key("crit") && !map.contains_key("b64"));
    let text = |name: &str| map.get(name).map(|value| value.as_str().expect("a string"));
    assert_eq!(text("alg"), Some(jws.header.algorithm.name()));
    assert_eq!(text("kid"), jws.header.kid.as_deref());
    assert_eq!(text("typ"), jws.header.typ.as_deref());
});

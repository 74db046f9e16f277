use serde_json::{Value, json};

use crate::issuers::{Issuer, Native};

const AUTHN: &str = include_str!("../../vectors/authn.json");

/// The tokens of the recorded cases.
pub(crate) fn tokens(print: &mut impl FnMut(Value)) {
    let vectors: Value = serde_json::from_str(AUTHN).unwrap();
    let issuer = Issuer {
        options: json!({
            "issuer": "iss", "audience": "svc", "jwks": vectors["jwks"], "clockTolerance": 120,
        }),
    };
    let native = Native::new("recorded", &[issuer], print);
    let cases = vectors["cases"].as_array().unwrap();
    let mut answered = 0;
    for case in cases {
        let Some(token) = case["authorization"][0]
            .as_str()
            .and_then(|value| value.strip_prefix("Bearer "))
        else {
            continue;
        };
        native.answer(token, case["now"].as_i64().unwrap(), &[], print);
        answered += 1;
    }
    assert!(answered > 50, "{answered} of {}", cases.len());
}

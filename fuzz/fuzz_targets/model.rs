//! A model's text: refused with a place, or a policy that answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::policy::{Source, compile};

fuzz_target!(|text: &str| {
    let model = Source {
        name: "model",
        text,
    };
    match compile(model, &[]) {
        Err(error) => assert!(error.to_string().starts_with("model"), "{error}"),
        Ok(policy) => {
            let request = vec!["x"; policy.request_fields()];
            let _ = policy.enforce(&request);
            assert_eq!(policy.row_count(), 0);
        }
    }
});

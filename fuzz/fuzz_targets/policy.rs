//! Rules: refused with a place, or the same answers by the index and row by row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::authz::RequestValue;
use tokensmith_engine::policy::{Source, compile};

const MODEL: &str = "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act, eft\n[role_definition]\ng = _, _, _\ng2 = _, _\n[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\nm = g(r.sub, p.sub, r.dom) && r.dom == p.dom && (keyMatch2(r.obj, p.obj) || g2(r.obj, p.obj)) && regexMatch(r.act, p.act)\n";

fuzz_target!(|text: &str| {
    let model = Source {
        name: "model",
        text: MODEL,
    };
    let rules = Source {
        name: "policy",
        text,
    };
    match compile(model, &[rules]) {
        Err(error) => assert!(error.to_string().starts_with("policy:"), "{error}"),
        Ok(policy) => {
            for request in [
                ["a", "d", "/x/1", "read"],
                ["role:x", "*", "/x", ""],
                ["", "", "", ""],
            ] {
                let values = request.map(RequestValue::Text);
                let answer = policy.evaluate(&values).expect("only names");
                let explained = policy.explain("", &values).expect("only names");
                assert_eq!(answer, explained.allowed);
            }
        }
    }
});

//! A matcher, and a rule that it evaluates: refused with a place, or the same answers by the
//! index and row by row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::authz::RequestValue;
use tokensmith_engine::policy::{Source, compile};

fuzz_target!(|text: &str| {
    let (matcher, rule) = text.split_once('\n').unwrap_or((text, "true"));
    let model = format!(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, rule\n[role_definition]\ng = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
    );
    let rule = rule.replace('"', "\"\"").replace(['\n', '\r'], " ");
    let rules = format!(
        "p, alice, /a/:x, read, \"{rule}\"\np, role:x, b, write, \"true\"\ng, bob, role:x\n"
    );
    let source = |name, text| Source { name, text };
    let Ok(policy) = compile(source("model", &model), &[source("policy", &rules)]) else {
        return;
    };
    let user = serde_json::json!({"Name": "alice", "Level": 3, "Tags": ["a", 1, null], "Deep": {"x": true}});
    for values in [
        [
            RequestValue::Text("bob"),
            RequestValue::Text("b"),
            RequestValue::Text("write"),
        ],
        [
            RequestValue::Text("alice"),
            RequestValue::Text("/a/1"),
            RequestValue::Text("read"),
        ],
        [
            RequestValue::from(&user),
            RequestValue::from(&user),
            RequestValue::Text("read"),
        ],
    ] {
        let answer = policy.evaluate(&values);
        if let (Ok(answer), Ok(explained)) = (answer, policy.explain("", &values)) {
            assert_eq!(answer, explained.allowed);
        }
    }
});

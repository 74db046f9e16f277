//! The values of a request, names and attributes: an answer or a typed error.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokensmith_engine::authz::{CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{Source, compile};

const MODEL: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, rule, eft\n[role_definition]\ng = _, _\n[policy_effect]\ne = priority(p.eft) || deny\n[matchers]\nm = g(r.sub, p.sub) && (keyMatch2(r.obj, p.obj) || keyMatch5(r.obj, p.obj) || globMatch(r.obj, p.obj)) && r.act == p.act || ipMatch(r.act, \"10.0.0.0/8\") && r.obj.Level * 2 + 1 >= 3 && r.sub in (\"a\", \"b\") && eval(p.rule)\n";
const RULES: &str = "p, a, /x/:id, read, \"r.obj.Tags == r.obj.Tags\", allow\np, role:r, /x/{id}/*, read, \"r.obj.Name + '!' == r.sub\", deny\np, b, /z/*, write, \"r.obj.Level in (r.obj.Tags)\", allow\ng, c, role:r\n";

static POLICY: LazyLock<CompiledPolicy> = LazyLock::new(|| {
    let source = |name, text| Source { name, text };
    compile(source("model", MODEL), &[source("policy", RULES)]).expect("a policy")
});

fuzz_target!(|input: (&str, &str, &str)| {
    let values =
        [input.0, input.1, input.2].map(|text| serde_json::from_str(text).map_err(|_| text));
    let mut request: Vec<RequestValue<'_>> = Vec::new();
    for value in &values {
        request.push(match value {
            Ok(value) => RequestValue::from(value as &serde_json::Value),
            Err(text) => RequestValue::Text(text),
        });
    }
    let answer = POLICY.evaluate(&request);
    if let (Ok(answer), Ok(explained)) = (answer, POLICY.explain("", &request)) {
        assert_eq!(answer, explained.allowed);
    }
});

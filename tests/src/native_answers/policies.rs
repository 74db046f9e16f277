use serde_json::{Map, Value, json};
use tokensmith_engine::authz::{CompileOptions, CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{PolicyError, Source, compile_with};

const CLASSES: &str = include_str!("../../vectors/casbin/model_classes.json");
const REFUSED: &str = include_str!("../../vectors/casbin/refused.json");

/// The recorded policies: versions, reasons of refusal, and answers to requests of three names.
pub(crate) fn recorded(print: &mut impl FnMut(Value)) {
    for text in [CLASSES, REFUSED] {
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            print(line(&case));
        }
    }
}

fn line(case: &Value) -> Value {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let matching = |name: &str| match &case["options"][name] {
        Value::Object(map) => map.clone(),
        _ => Map::new(),
    };
    let texts = json!({
        "model": text("model"),
        "rules": text("policy"),
        "roleMatching": matching("g_matching"),
        "domainMatching": matching("g_domain_matching"),
    });
    match compile(&texts) {
        Err(error) => {
            let error = json!({"code": error.code(), "message": error.to_string()});
            json!({"kind": "policy", "texts": texts, "error": error})
        }
        Ok(policy) => {
            let requests: Vec<Value> = case["requests"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|own| answered(&policy, &own["request"]))
                .collect();
            let version = policy.policy_version();
            json!({"kind": "policy", "texts": texts, "version": version, "requests": requests})
        }
    }
}

/// Named as the package names the texts, so that messages are the same.
fn compile(texts: &Value) -> Result<CompiledPolicy, PolicyError> {
    let text = |name: &str| texts[name].as_str().unwrap_or_default();
    let options = CompileOptions {
        role_matching: serde_json::from_value(texts["roleMatching"].clone()).unwrap(),
        domain_matching: serde_json::from_value(texts["domainMatching"].clone()).unwrap(),
    };
    let model = Source {
        name: "<model>",
        text: text("model"),
    };
    let rules = Source {
        name: "<rules>",
        text: text("rules"),
    };
    compile_with(model, &[rules], &options)
}

/// A request of three names, and its answer.
fn answered(policy: &CompiledPolicy, request: &Value) -> Option<Value> {
    let values = request.as_array()?;
    let names: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    let names: [&str; 3] = names.try_into().ok().filter(|_| values.len() == 3)?;
    let answer = match policy.explain("", &names.map(RequestValue::Text)) {
        Ok(explanation) => json!({"allowed": explanation.allowed, "rows": explanation.rows}),
        Err(error) => json!({"code": error.code(), "message": error.to_string()}),
    };
    Some(json!({"request": names, "answer": answer}))
}

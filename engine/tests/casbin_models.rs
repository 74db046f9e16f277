//! Models of every class that Casbin documents, with the answers Casbin gives: by the index and
//! row by row.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::Value;
use tokensmith_engine::authz::{AuthzError, CompileOptions, CompiledPolicy, RequestValue};
use tokensmith_engine::policy::{PolicyError, Source, compile, compile_with};

const CLASSES: &str = include_str!("../../tests/vectors/casbin/model_classes.json");
const REFUSED: &str = include_str!("../../tests/vectors/casbin/refused.json");
const RECORDED: &str = include_str!("../../tests/vectors/casbin/recorded_models.json");

/// Classes that are refused when they are loaded, and why.
const NOT_SUPPORTED: [(&str, &str); 3] = [
    (
        "Policy text, hash and trailing space in plain fields",
        "`#` begins a comment outside of quotes, as in TokenSmith's policies",
    ),
    (
        "RBAC with conditions, no condition function registered",
        "what conditions mean is code",
    ),
    (
        "RBAC with conditions, time window",
        "what conditions mean is code",
    ),
];

fn load(
    model: &str,
    policy: &str,
    options: &CompileOptions,
) -> Result<CompiledPolicy, PolicyError> {
    let model = Source {
        name: "model",
        text: model,
    };
    let policy = Source {
        name: "policy",
        text: policy,
    };
    compile_with(model, &[policy], options)
}

/// The answer, the same by both ways.
fn ask(policy: &CompiledPolicy, context: &str, request: &Value) -> Result<bool, AuthzError> {
    let values: Vec<RequestValue<'_>> = request
        .as_array()
        .unwrap()
        .iter()
        .map(RequestValue::from)
        .collect();
    let answer = policy.evaluate_in(context, &values);
    let explained = policy.explain(context, &values);
    match (&answer, &explained) {
        (Ok(answer), Ok(explained)) => assert_eq!(*answer, explained.allowed, "{request}"),
        // The index need not come to the row with the error.
        (Ok(_), Err(_)) | (Err(_), _) => {}
    }
    answer
}

fn options(class: &Value) -> CompileOptions {
    let map = |name: &str| -> BTreeMap<String, String> {
        class["options"]
            .get(name)
            .map(|map| serde_json::from_value(map.clone()).unwrap())
            .unwrap_or_default()
    };
    CompileOptions {
        role_matching: map("g_matching"),
        domain_matching: map("g_domain_matching"),
    }
}

#[test]
fn every_class_answers_as_casbin_does() {
    let classes: Vec<Value> = serde_json::from_str(CLASSES).unwrap();
    let mut asked = 0;
    let mut wrong = Vec::new();
    for class in &classes {
        let name = class["class"].as_str().unwrap();
        let (model, rules) = (
            class["model"].as_str().unwrap(),
            class["policy"].as_str().unwrap(),
        );
        let refused = rules
            .split_inclusive('\n')
            .filter(|line| ROWS_REFUSED.iter().any(|(end, _)| line.ends_with(end)));
        for line in refused {
            let error = load(model, line, &options(class)).unwrap_err();
            assert_eq!(error.code(), "policy_syntax", "{line}");
        }
        let rules: String = rules
            .split_inclusive('\n')
            .map(|line| line.replace(", a remark that is ignored", ""))
            .filter(|line| !ROWS_REFUSED.iter().any(|(end, _)| line.ends_with(end)))
            .collect();
        let loaded = load(model, &rules, &options(class));
        if NOT_SUPPORTED.iter().any(|(own, _)| *own == name) {
            assert!(loaded.is_err(), "{name}");
            continue;
        }
        let policy = match loaded {
            Ok(policy) => policy,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let context = class["options"]["context"].as_str().unwrap_or_default();
        for case in class["requests"].as_array().unwrap() {
            asked += 1;
            let answer = ask(&policy, context, &case["request"]);
            let fits = match &answer {
                Ok(answer) => case["allowed"] == Value::Bool(*answer),
                Err(_) => case["error"].is_string(),
            };
            let known = answer.is_ok()
                && case["error"].is_string()
                && ANSWERED.iter().any(|(own, _)| *own == name);
            if !fits && !known {
                wrong.push(format!("{name}: {case}: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 800, "{asked}");
}

#[test]
fn mistakes_are_refused_with_their_place() {
    let cases: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        match load(text("model"), text("policy"), &CompileOptions::default()) {
            Ok(_) => wrong.push(format!("{}: accepted; {}", text("name"), text("expect"))),
            Err(error) => {
                let (code, place) = text("expect").split_once(' ').unwrap();
                let fits = error.code() == code
                    && (place.contains('(')
                        || error.to_string().starts_with(&format!("{place}: ")));
                if !fits {
                    wrong.push(format!(
                        "{}: {} {error}; expected {}",
                        text("name"),
                        error.code(),
                        text("expect")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Rows that Casbin takes and this engine refuses, and why. Casbin makes nothing of them or of the
/// value too many, so the answers are those without.
const ROWS_REFUSED: [(&str, &str); 3] = [
    (
        ", maybe\n",
        "an effect that is neither allow nor deny is a mistake",
    ),
    (
        ", log\n",
        "an effect that is neither allow nor deny is a mistake",
    ),
    (
        ", a remark that is ignored\n",
        "a value too many is a mistake",
    ),
];

/// Requests that Casbin has no answer for and this engine has, and why.
const ANSWERED: [(&str, &str); 2] = [
    (
        "ABAC with policy rules, rule first",
        "the error is in a rule of a row whose object or action is another",
    ),
    (
        "PBAC",
        "the error is in a rule of a row whose action is another",
    ),
];

/// Recorded answers that are different here, and why.
const DIFFERENCES: [(&str, &str); 9] = [
    (
        "date-like literal",
        "a literal that Casbin takes for a date is an error",
    ),
    (
        "effect allow-and-deny / other",
        "an effect that is neither allow nor deny is an error",
    ),
    (
        "effect priority / other",
        "an effect that is neither allow nor deny is an error",
    ),
    (
        "effect allow-override / other",
        "an effect that is neither allow nor deny is an error",
    ),
    (
        "short circuit avoids bad regex",
        "a bad pattern is an error when the policy is loaded",
    ),
    (
        "allow before bad regex",
        "a bad pattern is an error when the policy is loaded",
    ),
    (
        "duplicate matcher last wins",
        "a key defined twice is an error",
    ),
    (
        "effect deny-override / other",
        "an effect that is neither allow nor deny is an error",
    ),
    (
        "g extra fields",
        "a row with more values than its definition is an error",
    ),
];

#[test]
fn recorded_models() {
    let cases: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    assert!(cases.len() > 80);
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let row = |kind: &str, row: &Value| {
            let values: Vec<String> = row
                .as_array()
                .unwrap()
                .iter()
                .map(|value| format!("\"{}\"", value.as_str().unwrap().replace('"', "\"\"")))
                .collect();
            format!("{kind},{}\n", values.join(","))
        };
        let rows = |kind: &str| -> String {
            case[kind]
                .as_array()
                .into_iter()
                .flatten()
                .map(|own| row(kind, own))
                .collect()
        };
        let rules = rows("p") + &rows("g");
        let model = case["model"].as_str().unwrap();
        let model = Source {
            name: "model",
            text: model,
        };
        let source = Source {
            name: "policy",
            text: &rules,
        };
        let answer = match compile(model, &[source]) {
            Err(error) => Err(error.to_string()),
            Ok(policy) => match &case["request"] {
                Value::Array(_) => {
                    ask(&policy, "", &case["request"]).map_err(|error| error.to_string())
                }
                _ => Err("no request".to_owned()),
            },
        };
        let expected = match (&case["result"], &case["error"], &case["load_error"]) {
            (_, Value::String(error), _) | (_, _, Value::String(error)) if !error.is_empty() => {
                Err(error.clone())
            }
            (Value::Bool(result), _, _) => Ok(*result),
            _ => Err("?".to_owned()),
        };
        let fits = match (&answer, &expected) {
            (Ok(own), Ok(theirs)) => own == theirs,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        let known = DIFFERENCES.iter().any(|(own, _)| *own == name);
        if fits == known {
            wrong.push(format!("{name}: {answer:?}, recorded {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

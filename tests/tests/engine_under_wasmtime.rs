//! The engine as a WebAssembly component answers every test vector as it does natively, byte for
//! byte, with either provider of signatures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use tokensmith_engine::policy::{BASELINE_MODEL, baseline_rules};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine_module::Session;
use tokensmith_tests::engine_component::EngineComponent;

const AUTHN: &str = include_str!("../vectors/authn.json");
const AUTHORIZER: &str = include_str!("../vectors/authorizer.json");
const MIDDLEWARE: &str = include_str!("../vectors/middleware.json");
const PATHS: &str = include_str!("../vectors/paths.json");
const RFC: &str = include_str!("../vectors/rfc.json");
const CLASSES: &str = include_str!("../vectors/casbin/model_classes.json");
const RECORDED: &str = include_str!("../vectors/casbin/recorded_models.json");
const REFUSED: &str = include_str!("../vectors/casbin/refused.json");
const FUNCTIONS: &str = include_str!("../vectors/casbin/functions.json");
const KEY_MATCH: &str = include_str!("../vectors/casbin/keymatch.json");
/// What the baseline model has in the place of other matchers.
const MATCHER: &str = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";

/// How many answers there were, and how many of them had no code of a refusal.
struct Counted {
    answers: usize,
    good: usize,
}

/// Asks everywhere, in the order of the lines, and compares.
fn alike(lines: &[Value]) -> Counted {
    let mut component = EngineComponent::start();
    let mut aws_lc = Session::new(AwsLc);
    let mut portable = Session::new(Portable);
    let mut counted = Counted {
        answers: 0,
        good: 0,
    };
    for line in lines {
        let line = line.to_string();
        let native = aws_lc.answer(&line);
        assert_eq!(portable.answer(&line), native, "natively, of {line}");
        assert_eq!(component.answer(&line), native, "under wasmtime, of {line}");
        let answer: Value = serde_json::from_str(&native).unwrap();
        assert_ne!(answer["code"], "bad_request", "{line}: {answer}");
        counted.answers += 1;
        counted.good += usize::from(answer.get("code").is_none());
    }
    counted
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn decide(case: &Value, now: &Value, authorization: Option<String>) -> Value {
    json!({
        "op": "decide", "method": case["method"].as_str().unwrap_or("GET"),
        "target": case["target"].as_str().unwrap_or("/res"), "authorization": authorization,
        "request_id": case["request_id"], "now": now,
    })
}

/// Rows as a policy file has them.
fn row(kind: &str, values: &[Value]) -> String {
    let quoted = |value: &Value| format!("\"{}\"", value.as_str().unwrap().replace('"', "\"\""));
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("{kind}, {}\n", values.join(", "))
}

#[test]
fn tokens() {
    let vectors = document(AUTHN);
    let mut lines = vec![json!({
        "op": "config",
        "config": {
            "issuers": [{
                "issuer": "iss", "audiences": ["svc"], "jwks": vectors["jwks"],
                "clock_skew_s": 120,
            }],
            "routes": [{"match": {"prefix": "/"}, "object": "o", "action": "a"}],
            "mode": "shadow",
        },
        "keys": [{"issuer": "iss", "jwks": vectors["jwks"]}],
    })];
    for case in list(&vectors["cases"]) {
        let authorization = case["authorization"].as_array().map(|values| {
            let values: Vec<&str> = values.iter().map(|value| value.as_str().unwrap()).collect();
            values.join(",")
        });
        lines.push(decide(&json!({}), &case["now"], authorization));
    }
    let counted = alike(&lines);
    assert!(counted.answers > 100, "{}", counted.answers);
    assert_eq!(counted.good, counted.answers);
}

#[test]
fn signatures() {
    let vectors = document(RFC);
    let lines: Vec<Value> = list(&vectors["jws"])
        .iter()
        .map(|case| {
            let keys = match &case["jwk"] {
                Value::Null => json!([]),
                jwk => json!([jwk]),
            };
            json!({"op": "jws", "jwks": {"keys": keys}, "jws": case["jws"]})
        })
        .collect();
    let counted = alike(&lines);
    assert!(counted.good > 3, "{}", counted.good);
}

#[test]
fn requests() {
    let (tokens, requests) = (document(AUTHN), document(MIDDLEWARE));
    let mut cases = list(&tokens["cases"]).iter();
    let valid = cases.find(|case| case["name"] == "alg-ok-ES256").unwrap();
    let token = valid["authorization"][0].as_str().unwrap();
    let mut lines = Vec::new();
    for case in list(&requests["cases"]) {
        let roles = case["roles"].as_array().cloned().unwrap_or_default();
        let principal = match &case["principal"] {
            Value::Null => {
                json!({"roles": [], "groups": "auth_level", "group_roles": {"IAL2": roles}})
            }
            own => own.clone(),
        };
        let mut config = requests["config"].clone();
        config["issuers"] = json!([{
            "issuer": "iss", "audiences": ["svc"], "jwks": tokens["jwks"], "principal": principal,
        }]);
        for (name, value) in case["config"].as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        let keys = json!([{"issuer": "iss", "jwks": tokens["jwks"]}]);
        lines.push(json!({"op": "config", "config": config, "keys": keys}));
        // What is refused when it is loaded cannot be asked.
        if case["here"]["refused"].is_null() {
            let authorization = case["roles"].is_array().then(|| token.to_owned());
            lines.push(decide(case, &json!(150), authorization));
        }
    }
    let counted = alike(&lines);
    assert!(counted.good > 50, "{}", counted.good);
}

#[test]
fn paths() {
    let lines: Vec<Value> = list(&document(PATHS)["cases"])
        .iter()
        .map(|case| json!({"op": "path", "target": case["target"]}))
        .collect();
    assert!(alike(&lines).answers > 30);
}

#[test]
fn principals() {
    let vectors = document(AUTHORIZER);
    let mut lines = Vec::new();
    for case in list(&vectors["cases"]) {
        let setup = &vectors["setups"][case["setup"].as_str().unwrap()];
        let mut rules = setup["rules"].as_str().unwrap().to_owned();
        if setup["baseline"] == true {
            rules.insert_str(0, &baseline_rules());
        }
        let model = BASELINE_MODEL.replace(MATCHER, setup["matcher"].as_str().unwrap());
        lines.push(json!({"op": "policy", "model": model, "rules": rules}));
        let roles = case["roles"].as_array().cloned().unwrap_or_default();
        lines.push(json!({
            "op": "authorize", "claims": {"sub": case["principal_id"], "roles": roles},
            "object": case["object"], "action": case["action"],
        }));
    }
    let counted = alike(&lines);
    assert_eq!(counted.good, counted.answers);
}

#[test]
fn models_of_every_class() {
    let mut lines = Vec::new();
    for class in list(&document(CLASSES)) {
        let options = &class["options"];
        let map = |name: &str| options.get(name).cloned().unwrap_or_else(|| json!({}));
        let context = options["context"].as_str().unwrap_or_default();
        let policy = json!({
            "op": "policy", "model": class["model"], "rules": class["policy"],
            "options": {
                "role_matching": map("g_matching"), "domain_matching": map("g_domain_matching"),
            },
        });
        let is_loaded = loads(&policy);
        lines.push(policy);
        if !is_loaded {
            continue;
        }
        for case in list(&class["requests"]) {
            lines.push(json!({
                "op": "enforce", "context": context, "request": case["request"], "explain": true,
            }));
        }
    }
    let counted = alike(&lines);
    assert!(counted.good > 700, "{}", counted.good);
}

#[test]
fn recorded_models() {
    let mut lines = Vec::new();
    for case in list(&document(RECORDED)) {
        let mut rules = String::new();
        for kind in ["p", "g"] {
            for values in case[kind].as_array().into_iter().flatten() {
                rules.push_str(&row(kind, list(values)));
            }
        }
        let policy = json!({"op": "policy", "model": case["model"], "rules": rules});
        let is_loaded = loads(&policy);
        lines.push(policy);
        if is_loaded && case["request"].is_array() {
            let request = &case["request"];
            lines.push(json!({"op": "enforce", "request": request, "explain": true}));
        }
    }
    let counted = alike(&lines);
    assert!(counted.good > 50, "{}", counted.good);
}

#[test]
fn refused_policies() {
    let lines: Vec<Value> = list(&document(REFUSED))
        .iter()
        .map(|case| json!({"op": "policy", "model": case["model"], "rules": case["policy"]}))
        .collect();
    let counted = alike(&lines);
    assert!(counted.answers > 100, "{}", counted.answers);
    assert_eq!(counted.good, 0);
}

#[test]
fn functions() {
    let mut lines = Vec::new();
    let mut ask = |function: &str, arguments: &[Value], result: &Value| {
        let [key, pattern, more @ ..] = arguments else {
            return;
        };
        let mut call = format!("{function}(r.a, p.x");
        let mut request = vec![key.clone()];
        let mut fields = "a".to_owned();
        if let Some(third) = more.first() {
            call.push_str(", r.b");
            fields.push_str(", b");
            request.push(third.clone());
        }
        call.push(')');
        if result.is_string() {
            call.push_str(" == r.z");
            fields.push_str(", z");
            request.push(result.clone());
        }
        let model = format!(
            "[request_definition]\nr = {fields}\n[policy_definition]\np = x\n\
             [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {call}\n"
        );
        let rules = row("p", std::slice::from_ref(pattern));
        let policy = json!({"op": "policy", "model": model, "rules": rules});
        let is_loaded = loads(&policy);
        lines.push(policy);
        if is_loaded {
            lines.push(json!({"op": "enforce", "request": request}));
        }
    };
    for case in list(&document(FUNCTIONS)) {
        ask(
            case["function"].as_str().unwrap(),
            list(&case["args"]),
            &case["result"],
        );
    }
    for case in list(&document(KEY_MATCH)) {
        for function in ["keyMatch", "keyMatch2"] {
            let arguments = [case["key1"].clone(), case["key2_pattern"].clone()];
            ask(function, &arguments, &case[function]);
        }
    }
    let counted = alike(&lines);
    assert!(counted.good > 200, "{}", counted.good);
}

/// Whether a policy loads; requests of another one would be answered by none.
fn loads(policy: &Value) -> bool {
    let answer = Session::new(Portable).answer(&policy.to_string());
    answer.contains("\"policy_version\"")
}

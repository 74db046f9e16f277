//! Every recorded answer of Casbin's own functions. A panic or an error there is an error here.

use serde_json::Value;

use super::{Function, Pattern, key_get};

/// Recorded answers that are different here: function, arguments and the reason. There are none.
const DIFFERENCES: [(&str, &[&str], &str); 0] = [];

enum Answer {
    Bool(bool),
    Text(String),
}

#[test]
fn casbin_functions() {
    let text = include_str!("../../../../tests/vectors/casbin/functions.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(vectors.len() > 100);
    for vector in vectors {
        let name = vector["function"].as_str().unwrap();
        let arguments: Vec<&str> = vector["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| argument.as_str().unwrap())
            .collect();
        let differs = |(function, known, _): &(&str, &[&str], &str)| {
            *function == name && *known == arguments.as_slice()
        };
        if DIFFERENCES.iter().any(differs) {
            continue;
        }
        let answer = answer(Function::from_name(name).unwrap(), &arguments);
        match (vector.get("error"), answer) {
            (Some(_), Err(_)) => {}
            (None, Ok(Answer::Bool(found))) => assert_eq!(vector["result"], found, "{vector}"),
            (None, Ok(Answer::Text(found))) => assert_eq!(vector["result"], found, "{vector}"),
            (Some(_), Ok(_)) => panic!("no error: {vector}"),
            (None, Err(error)) => panic!("{error}: {vector}"),
        }
    }
}

#[test]
fn keymatch() {
    let text = include_str!("../../../../tests/vectors/casbin/keymatch.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(vectors.len() > 20);
    for vector in vectors {
        let key = vector["key1"].as_str().unwrap();
        let pattern = vector["key2_pattern"].as_str().unwrap();
        for function in [Function::KeyMatch, Function::KeyMatch2] {
            let expected = vector[function.name()].as_bool().unwrap();
            let pattern = Pattern::compile(function, pattern).unwrap();
            assert_eq!(pattern.matches(key), Ok(expected), "{vector}");
        }
    }
}

/// What an evaluator does with a call.
fn answer(function: Function, arguments: &[&str]) -> Result<Answer, String> {
    if arguments.len() != function.arity() {
        return Err("number of arguments".to_owned());
    }
    if !function.is_predicate() {
        return key_get(
            function,
            arguments[0],
            arguments[1],
            arguments.get(2).copied(),
        )
        .map(Answer::Text)
        .map_err(|error| error.to_string());
    }
    Pattern::compile(function, arguments[1])
        .map_err(|error| error.to_string())?
        .matches(arguments[0])
        .map(Answer::Bool)
        .map_err(|error| error.to_string())
}

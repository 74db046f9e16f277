use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tokensmith_engine::decide::{DecisionRecord, Denial, Outcome};

use super::messages::{
    CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
    Status,
};

// `google.rpc.Code`.
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// The answer that carries an outcome out.
pub(super) fn of_outcome(outcome: &Outcome<'_>) -> CheckResponse {
    let metadata = metadata(&outcome.record);
    match &outcome.denial {
        Some(denial) => denied(denial, metadata),
        None => allowed(outcome, metadata),
    }
}

/// The answer to a request that is not handed on.
pub(super) fn denied(denial: &Denial, metadata: Option<Struct>) -> CheckResponse {
    let headers = denial
        .headers
        .iter()
        .map(|(name, value)| HeaderValueOption::overwriting(name, value));
    CheckResponse {
        status: Some(Status {
            code: code(denial.status),
            message: String::new(),
        }),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: i32::from(denial.status),
            }),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&denial.body).into_owned(),
        })),
        dynamic_metadata: metadata,
    }
}

fn allowed(outcome: &Outcome<'_>, metadata: Option<Struct>) -> CheckResponse {
    let (mut headers, mut remove) = (Vec::new(), Vec::new());
    // Envoy removes after it sets, and setting takes the place of every inbound copy.
    for (name, value) in outcome.header_edits() {
        match value {
            Some(value) => headers.push(HeaderValueOption::overwriting(name, value)),
            None => remove.push(name.to_owned()),
        }
    }
    if let Some(target) = &outcome.target {
        headers.push(HeaderValueOption::overwriting(":path", target));
    }
    CheckResponse {
        status: Some(Status {
            code: OK,
            message: String::new(),
        }),
        http_response: Some(HttpResponse::Ok(OkHttpResponse {
            headers,
            headers_to_remove: remove,
        })),
        dynamic_metadata: metadata,
    }
}

/// Never `OK`.
fn code(status: u16) -> i32 {
    match status {
        400 => INVALID_ARGUMENT,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        503 => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// The record's members. A decision does not depend on what is recorded of it.
fn metadata(record: &DecisionRecord<'_>) -> Option<Struct> {
    match serde_json::to_value(record) {
        Ok(serde_json::Value::Object(members)) => Some(structure(members)),
        _ => None,
    }
}

fn structure(members: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct {
        fields: members
            .into_iter()
            .map(|(name, member)| (name, value(member)))
            .collect(),
    }
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(truth),
        // The record has numbers of things, which are far below the end of exactness.
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(elements) => Kind::ListValue(ListValue {
            values: elements.into_iter().map(value).collect(),
        }),
        serde_json::Value::Object(members) => Kind::StructValue(structure(members)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_denial_is_ok() {
        for status in [0, 200, 400, 401, 403, 429, 500, 503, u16::MAX] {
            assert_ne!(code(status), OK);
        }
        let answer = denied(&Denial::unavailable(), None);
        assert_eq!(answer.status.unwrap().code, UNAVAILABLE);
        let Some(HttpResponse::Denied(denied)) = answer.http_response else {
            panic!("not denied");
        };
        assert_eq!(denied.status.unwrap().code, 503);
        assert!(denied.body.contains("AUTHZ_ENGINE_ERROR"));
    }
}

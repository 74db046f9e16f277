use std::borrow::Cow;

use serde_json::Value as Json;

use super::AuthzError;

/// A value of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RequestValue<'r> {
    /// A name.
    Text(&'r str),
    /// An object with attributes, or any other JSON value.
    Json(&'r Json),
}

/// A value while a matcher is evaluated.
#[derive(Clone, Debug)]
pub(super) enum Value<'v> {
    Text(Cow<'v, str>),
    Number(f64),
    Bool(bool),
    Null,
    /// An array or object.
    Json(&'v Json),
}

impl<'r> From<&'r str> for RequestValue<'r> {
    fn from(text: &'r str) -> Self {
        RequestValue::Text(text)
    }
}

impl<'r> From<&'r Json> for RequestValue<'r> {
    fn from(value: &'r Json) -> Self {
        match value {
            Json::String(text) => RequestValue::Text(text),
            other => RequestValue::Json(other),
        }
    }
}

impl<'r> RequestValue<'r> {
    /// The value, or its attribute along `path`; `None` when there is no such attribute.
    pub(super) fn at(self, path: &[Box<str>]) -> Option<Value<'r>> {
        match self {
            RequestValue::Text(text) => path.is_empty().then_some(Value::Text(text.into())),
            RequestValue::Json(json) => path
                .iter()
                .try_fold(json, |value, name| value.as_object()?.get(&**name))
                .map(Value::from),
        }
    }
}

impl<'v> From<&'v Json> for Value<'v> {
    fn from(json: &'v Json) -> Self {
        match json {
            Json::String(text) => Value::Text(text.as_str().into()),
            // A number beyond a double's range is none that could be compared.
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::Bool(value) => Value::Bool(*value),
            Json::Null => Value::Null,
            other => Value::Json(other),
        }
    }
}

impl Value<'_> {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Number(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::Null => "null",
            Value::Json(Json::Array(_)) => "an array",
            Value::Json(_) => "an object",
        }
    }

    pub(super) fn bool(&self, operator: &'static str) -> Result<bool, AuthzError> {
        match self {
            Value::Bool(value) => Ok(*value),
            other => Err(other.refused(operator)),
        }
    }

    pub(super) fn number(&self, operator: &'static str) -> Result<f64, AuthzError> {
        match self {
            Value::Number(value) => Ok(*value),
            other => Err(other.refused(operator)),
        }
    }

    pub(super) fn text(&self, operator: &'static str) -> Result<&str, AuthzError> {
        match self {
            Value::Text(text) => Ok(text),
            other => Err(other.refused(operator)),
        }
    }

    pub(super) fn refused(&self, operator: &'static str) -> AuthzError {
        AuthzError::Type {
            operator,
            found: self.type_name(),
        }
    }

    /// `==`: values of different types are not equal.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Text(own), Value::Text(other)) => own == other,
            (Value::Number(own), Value::Number(other)) => own == other,
            (Value::Bool(own), Value::Bool(other)) => own == other,
            (Value::Null, Value::Null) => true,
            (Value::Json(own), Value::Json(other)) => same(own, other),
            _ => false,
        }
    }

    /// The text that `+` joins.
    pub(super) fn joined(&self) -> String {
        match self {
            Value::Text(text) => text.clone().into_owned(),
            Value::Number(number) => number_text(*number),
            Value::Bool(value) => value.to_string(),
            Value::Null => "<nil>".to_owned(),
            Value::Json(json) => json.to_string(),
        }
    }
}

/// Equal as Go compares decoded JSON: all numbers are doubles.
fn same(own: &Json, other: &Json) -> bool {
    match (own, other) {
        (Json::Number(own), Json::Number(other)) => own.as_f64() == other.as_f64(),
        (Json::Array(own), Json::Array(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| same(own, other))
        }
        (Json::Object(own), Json::Object(other)) => {
            own.len() == other.len()
                && own
                    .iter()
                    .all(|(name, own)| other.get(name).is_some_and(|other| same(own, other)))
        }
        (own, other) => own == other,
    }
}

/// A number as Go's `%v` prints it: shortest digits, an exponent from 1e21 on and below 1e-4.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return number.to_string();
    }
    if !number.is_finite() {
        return match number {
            _ if number.is_nan() => "NaN".to_owned(),
            _ if number > 0.0 => "+Inf".to_owned(),
            _ => "-Inf".to_owned(),
        };
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_text() {
        for (number, text) in [
            (2.0, "2"),
            (-0.5, "-0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }
}

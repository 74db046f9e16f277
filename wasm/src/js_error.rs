use serde_json::json;
use tokensmith_engine::verify::VerifyError;
use wasm_bindgen::JsValue;

/// What is thrown for a key that is not known: its name, beside what [`thrown`] says.
pub(crate) fn unknown_kid(kid: &str, error: &VerifyError) -> JsValue {
    let text = json!({"code": error.code(), "message": error.to_string(), "kid": kid});
    JsValue::from_str(&text.to_string())
}

/// What is thrown: the text of `{"code", "message"}`, which the package makes an `Error` of.
pub(crate) fn thrown(code: &str, message: impl ToString) -> JsValue {
    JsValue::from_str(&json!({"code": code, "message": message.to_string()}).to_string())
}

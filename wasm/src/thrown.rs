use serde_json::json;
use wasm_bindgen::JsValue;

/// What is thrown: the text of `{"code", "message"}`, which the package makes an `Error` of.
pub(crate) fn thrown(code: &str, message: impl ToString) -> JsValue {
    JsValue::from_str(&json!({"code": code, "message": message.to_string()}).to_string())
}

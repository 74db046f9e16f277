use serde_json::json;
use tokensmith_engine::verify::VerifyError;
use wasm_bindgen::JsValue;

use crate::thrown::thrown;

/// What is thrown for a token that is not verified: `{"code", "message"}`, and what the package has
/// to know to fetch keys.
pub(crate) fn refusal(error: &VerifyError) -> JsValue {
    let (issuer, kid) = match error {
        VerifyError::UnknownKid { issuer, kid } => (issuer, Some(kid)),
        VerifyError::KeysUnavailable(issuer) => (issuer, None),
        _ => return thrown(error.code(), error),
    };
    let text = json!({
        "code": error.code(),
        "message": error.to_string(),
        "issuer": issuer,
        "kid": kid,
    });
    JsValue::from_str(&text.to_string())
}

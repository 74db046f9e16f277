use serde_json::json;
use tokensmith_engine::jose::{Jws, Limits};
use wasm_bindgen::prelude::*;

use crate::js_error::thrown;

/// Header and claims of a token as JSON, for display only: nothing in it is verified.
///
/// # Errors
/// `{"code", "message"}` as text.
#[wasm_bindgen]
pub fn decode(token: &str) -> Result<String, JsValue> {
    let inspected =
        Jws::inspect(token, &Limits::default()).map_err(|error| thrown(error.code(), error))?;
    Ok(json!({
        "verified": false,
        "header": inspected.header,
        "claims": inspected.payload,
    })
    .to_string())
}

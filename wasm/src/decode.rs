use tokensmith_engine::jose::{Jws, Limits};
use wasm_bindgen::prelude::*;

use crate::thrown::thrown;

/// Header and claims of a token as the JSON texts that are in it, with a NUL between them, for
/// display only: nothing in them is verified. JSON has no NUL.
///
/// # Errors
/// `{"code", "message"}` as text.
#[wasm_bindgen]
pub fn decode(token: &str) -> Result<String, JsValue> {
    let shown = Jws::inspect_text(token, &Limits::default())
        .map_err(|error| thrown(error.code(), error))?;
    Ok(format!("{}\0{}", shown.header, shown.payload))
}

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use crate::thrown::thrown;

/// Who asks: a principal that the verifier's module verified, by what rules call it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Caller {
    pub(crate) id: Box<str>,
    pub(crate) subjects: Vec<Arc<str>>,
}

#[wasm_bindgen]
impl Caller {
    /// `subjects` is a JSON array of names, as `["role:viewer"]`.
    ///
    /// # Errors
    /// `{"code": "bad_options", "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(id: &str, subjects: &str) -> Result<Caller, JsValue> {
        let subjects: Vec<Arc<str>> =
            serde_json::from_str(subjects).map_err(|error| thrown("bad_options", error))?;
        Ok(Self {
            id: id.into(),
            subjects,
        })
    }
}

//! Signature checks in WebAssembly, for browsers whose WebCrypto lacks an algorithm. The package in
//! `wasm/js` loads this module when, and only when, that is so.

#[path = "../../src/thrown.rs"]
mod thrown;

use tokensmith_engine::jose::{Algorithm, Jwk, Limits, parse_object};
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine::verify::{Key, Verdict};
use wasm_bindgen::prelude::*;

use thrown::thrown;

/// A public key that checks signatures.
#[wasm_bindgen]
#[derive(Debug)]
pub struct PortableKey {
    key: Key,
}

#[wasm_bindgen]
impl PortableKey {
    /// The key of a JWK, JSON.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(jwk: &str) -> Result<PortableKey, JsValue> {
        let map = parse_object(jwk.as_bytes(), &Limits::default())
            .map_err(|error| thrown("key_unusable", error))?;
        let key = Jwk::from_json(&map)
            .and_then(|jwk| Key::prepare(&jwk, &Portable))
            .map_err(|error| thrown(error.code(), error))?;
        Ok(Self { key })
    }

    /// Whether `signature` (for ECDSA r || s) is this key's over `message`, by the algorithm that
    /// `alg` names; an algorithm that does not fit the key verifies nothing.
    pub fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        let Ok(algorithm) = Algorithm::from_name(alg) else {
            return false;
        };
        self.key.verify(algorithm, message, signature) == Some(Verdict::Valid)
    }
}

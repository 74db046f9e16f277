use serde_json::Value;

use super::{Jwk, JwkError, Limits, strict_json::parse_object};

/// A JWK set (RFC 7517 section 5). Keys that cannot verify are reported, not fatal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    /// Usable keys in document order.
    pub keys: Vec<Jwk>,
    /// Keys that were left out, and why.
    pub rejected: Vec<RejectedJwk>,
}

/// A member of `keys` that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedJwk {
    /// Position in the `keys` array.
    pub index: usize,
    /// The key's `kid`, if it had one.
    pub kid: Option<String>,
    /// Why it was left out.
    pub error: JwkError,
}

impl JwkSet {
    /// Parses a JWK set document.
    ///
    /// # Errors
    /// [`JwkError::Json`], [`JwkError::NoKeys`] or [`JwkError::TooLarge`]; a bad key inside the
    /// set goes to [`JwkSet::rejected`] instead.
    ///
    /// ```
    /// use tokensmith_engine::jose::{JwkSet, Limits};
    /// let set = JwkSet::parse(br#"{"keys":[{"kty":"oct","k":"AA"}]}"#, &Limits::default()).unwrap();
    /// assert_eq!((set.keys.len(), set.rejected.len()), (0, 1));
    /// ```
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, JwkError> {
        if bytes.len() > limits.jwk_set_bytes {
            return Err(JwkError::TooLarge("bytes"));
        }
        // A key has a dozen members, so the document's own limit is in keys.
        let document = Limits {
            members: limits.jwk_set_keys.saturating_mul(64),
            ..limits.clone()
        };
        let map = parse_object(bytes, &document).map_err(JwkError::Json)?;
        let Some(Value::Array(elements)) = map.get("keys") else {
            return Err(JwkError::NoKeys);
        };
        if elements.len() > limits.jwk_set_keys {
            return Err(JwkError::TooLarge("keys"));
        }
        let mut set = Self::default();
        for (index, element) in elements.iter().enumerate() {
            let parsed = match element {
                Value::Object(map) => Jwk::from_json(map),
                _ => Err(JwkError::Member("keys")),
            };
            match parsed {
                Ok(jwk) => set.keys.push(jwk),
                Err(error) => set.rejected.push(RejectedJwk {
                    index,
                    kid: element
                        .get("kid")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                    error,
                }),
            }
        }
        Ok(set)
    }

    /// The set as it is published.
    pub fn to_json(&self) -> Value {
        serde_json::json!({"keys": self.keys.iter().map(Jwk::to_json).collect::<Vec<_>>()})
    }
}

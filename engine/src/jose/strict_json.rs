use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Limits;

/// Parses a JSON object, refusing duplicate member names, deep nesting and too many members.
///
/// RFC 8259 leaves duplicates undefined and parsers disagree about them, so a document with any
/// is refused (RFC 7515 section 4, RFC 7519 section 4).
///
/// # Errors
/// A message of the parser, without the input's bytes.
///
/// ```
/// use tokensmith_engine::jose::{Limits, parse_object};
/// assert!(parse_object(br#"{"a":1}"#, &Limits::default()).is_ok());
/// assert!(parse_object(br#"{"a":1,"a":2}"#, &Limits::default()).is_err());
/// ```
pub fn parse_object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, String> {
    let members = Cell::new(limits.members);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Strict(Budget::new(limits.depth, &members));
    let value = seed
        .deserialize(&mut deserializer)
        .map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("not an object".to_owned()),
    }
}

/// How deep a document may still nest, and how many members it may still have.
#[derive(Clone, Copy)]
pub(super) struct Budget<'a> {
    depth: usize,
    members: &'a Cell<usize>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(depth: usize, members: &'a Cell<usize>) -> Self {
        Self { depth, members }
    }

    /// The budget of what is inside an array or object.
    pub(super) fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom("nested too deeply")),
        }
    }

    /// Takes one member or element.
    pub(super) fn count<E: Error>(self) -> Result<(), E> {
        match self.members.get().checked_sub(1) {
            Some(left) => {
                self.members.set(left);
                Ok(())
            }
            None => Err(E::custom("too many members")),
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'a>(Budget<'a>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = Strict(self.0.deeper()?);
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(inner)? {
            self.0.count()?;
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = Strict(self.0.deeper()?);
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            self.0.count()?;
            if map.contains_key(&name) {
                return Err(A::Error::custom("duplicate member name"));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_duplicates_depth_and_size() {
        let limits = Limits {
            depth: 2,
            members: 3,
            ..Limits::default()
        };
        let cases: [(&str, bool); 9] = [
            (r#"{}"#, true),
            (r#"{"a":[1]}"#, true),
            (r#"{"a":[[1]]}"#, false),
            (r#"{"a":1,"b":2,"c":3}"#, true),
            (r#"{"a":1,"b":2,"c":3,"d":4}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"a":{"b":1,"b":1}}"#, false),
            (r#"{"a":1} x"#, false),
            (r#"[1]"#, false),
        ];
        for (text, accepted) in cases {
            assert_eq!(
                parse_object(text.as_bytes(), &limits).is_ok(),
                accepted,
                "{text}"
            );
        }
    }
}

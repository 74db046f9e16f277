use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::Limits;
use super::strict_json::Budget;

/// The value of a member as far as verification looks into it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scanned<'d> {
    /// A string.
    Text(Cow<'d, str>),
    /// An array of strings: where they are among all that were found.
    Texts(Range<usize>),
    /// A number.
    Number(Number),
    /// An object.
    Object,
    /// Anything else, `null` included.
    Other,
}

/// Walks a JSON object by the rules of [`super::parse_object`] and hands each member to `member`,
/// building nothing: most members of a token are only ever checked. The strings of its arrays
/// come back together.
///
/// # Errors
/// As [`super::parse_object`].
pub(crate) fn scan_object<'d>(
    text: &'d str,
    limits: &Limits,
    member: impl FnMut(&str, Scanned<'d>),
) -> Result<Vec<Cow<'d, str>>, String> {
    let members = Cell::new(limits.members);
    let texts = RefCell::new(Vec::with_capacity(8));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Object {
        budget: Budget::new(limits.depth, &members),
        texts: &texts,
        member,
    };
    seed.deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| error.to_string())?;
    Ok(texts.into_inner())
}

type Texts<'de> = RefCell<Vec<Cow<'de, str>>>;

struct Object<'a, 'de, F> {
    budget: Budget<'a>,
    texts: &'a Texts<'de>,
    member: F,
}

impl<'de, F: FnMut(&str, Scanned<'de>)> DeserializeSeed<'de> for Object<'_, 'de, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, Scanned<'de>)> Visitor<'de> for Object<'_, 'de, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, access: A) -> Result<(), A::Error> {
        let inner = Walk {
            budget: self.budget.deeper()?,
            texts: self.texts,
        };
        members(access, self.budget, inner, 32, |name, value| {
            (self.member)(name, value);
        })
    }
}

/// Any value; what is in objects, and in arrays that are not of strings, is walked and dropped.
#[derive(Clone, Copy)]
struct Walk<'a, 'de> {
    budget: Budget<'a>,
    texts: &'a Texts<'de>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = Scanned<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Scanned<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = Scanned<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Other)
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Other)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scanned<'de>, E> {
        Ok(Number::from_f64(value).map_or(Scanned::Other, Scanned::Number))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Scanned<'de>, E> {
        Ok(Scanned::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Scanned<'de>, A::Error> {
        let inner = self.deeper()?;
        let start = self.texts.borrow().len();
        let mut all = true;
        while let Some(element) = access.next_element_seed(inner)? {
            self.budget.count()?;
            match element {
                Scanned::Text(text) if all => self.texts.borrow_mut().push(text),
                _ => all = false,
            }
        }
        let mut texts = self.texts.borrow_mut();
        if all {
            return Ok(Scanned::Texts(start..texts.len()));
        }
        texts.truncate(start);
        Ok(Scanned::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Scanned<'de>, A::Error> {
        let start = self.texts.borrow().len();
        members(access, self.budget, self.deeper()?, 0, |_, _| {})?;
        self.texts.borrow_mut().truncate(start);
        Ok(Scanned::Object)
    }
}

impl Walk<'_, '_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let budget = self.budget.deeper()?;
        Ok(Self { budget, ..self })
    }
}

fn members<'de, A: MapAccess<'de>>(
    mut access: A,
    budget: Budget<'_>,
    inner: Walk<'_, 'de>,
    capacity: usize,
    mut member: impl FnMut(&str, Scanned<'de>),
) -> Result<(), A::Error> {
    // The limit on members keeps the comparison of all with all small; the marks of names seen
    // save most of it.
    let mut names: Vec<Cow<'de, str>> = Vec::with_capacity(capacity);
    let mut marks = 0;
    while let Some(name) = access.next_key_seed(Name)? {
        budget.count()?;
        let own = mark(&name);
        if marks & own != 0 && names.contains(&name) {
            return Err(A::Error::custom("duplicate member name"));
        }
        marks |= own;
        let value = access.next_value_seed(inner)?;
        member(&name, value);
        names.push(name);
    }
    Ok(())
}

/// One of 64 bits; equal names have the same.
fn mark(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    let (first, last) = ends.map_or((0, 0), |(first, last)| {
        (usize::from(*first), usize::from(*last))
    });
    1 << ((bytes.len() * 29 + first * 7 + last) % 64)
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::parse_object;

    #[test]
    fn accepts_and_refuses_what_the_building_parser_does() {
        let limits = Limits {
            depth: 3,
            members: 5,
            ..Limits::default()
        };
        for text in [
            r#"{}"#,
            r#"{"a":[1,"b",null]}"#,
            r#"{"a":[[1]]}"#,
            r#"{"a":[[[1]]]}"#,
            r#"{"a":{"b":{"c":{}}}}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}"#,
            r#"{"a":["1","2","3","4","5"]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":1} x"#,
            r#"{"a":1e999}"#,
            r#"{"a":-0.0}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\u{1}\"}",
            r#"{"a":01}"#,
            r#"[1]"#,
            r#""a""#,
            "",
        ] {
            assert_eq!(
                scan_object(text, &limits, |_, _| {}).is_ok(),
                parse_object(text.as_bytes(), &limits).is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn hands_over_what_it_found() {
        let mut found = Vec::new();
        let text =
            r#"{"a":"x","z":{"y":["v"]},"b":["y","\n"],"c":["y",1],"d":7,"e":null,"g":["w"]}"#;
        let texts = scan_object(text, &Limits::default(), |name, value| {
            found.push((name.to_owned(), value));
        })
        .unwrap();
        let expected = [
            ("a", Scanned::Text("x".into())),
            ("z", Scanned::Object),
            ("b", Scanned::Texts(0..2)),
            ("c", Scanned::Other),
            ("d", Scanned::Number(7.into())),
            ("e", Scanned::Other),
            ("g", Scanned::Texts(2..3)),
        ];
        assert_eq!(texts, ["y", "\n", "w"]);
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
    }
}

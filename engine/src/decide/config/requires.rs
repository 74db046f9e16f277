use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// [`Requires::AllowMissing`] in configuration; no issuer can be called so.
pub(super) const ALLOW_MISSING: &str = "allow_missing";
/// [`Requires::AllowMissingOrFailed`] in configuration; no issuer can be called so.
pub(super) const ALLOW_MISSING_OR_FAILED: &str = "allow_missing_or_failed";

/// Which tokens a request needs. In JSON a string, or an object with the one member `any` or
/// `all`.
///
/// ```
/// use tokensmith_engine::decide::Requires;
/// let text = r#"{"any": ["https://a.example", {"all": ["https://b.example", "https://c.example"]}]}"#;
/// let requires: Requires = serde_json::from_str(text).unwrap();
/// assert!(matches!(requires, Requires::Any(of) if of.len() == 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requires {
    /// A token of the issuer with this exact name.
    Issuer(String),
    /// One of these, the first that is fulfilled.
    Any(Vec<Requires>),
    /// Every one of these. The first token is the principal's.
    All(Vec<Requires>),
    /// Nothing, as long as there is no token; one that is there has to be good. Inside `any` this
    /// looks at the tokens that the others there ask for, elsewhere at those of all issuers.
    AllowMissing,
    /// Nothing: a token that is refused counts as none.
    AllowMissingOrFailed,
}

impl<'de> Deserialize<'de> for Requires {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RequiresVisitor)
    }
}

impl Serialize for Requires {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, of) = match self {
            Requires::Issuer(issuer) => return serializer.serialize_str(issuer),
            Requires::AllowMissing => return serializer.serialize_str(ALLOW_MISSING),
            Requires::AllowMissingOrFailed => {
                return serializer.serialize_str(ALLOW_MISSING_OR_FAILED);
            }
            Requires::Any(of) => ("any", of),
            Requires::All(of) => ("all", of),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(name, of)?;
        map.end()
    }
}

struct RequiresVisitor;

impl<'de> Visitor<'de> for RequiresVisitor {
    type Value = Requires;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "an issuer, `allow_missing`, `allow_missing_or_failed`, or an object with `any` or `all`",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Requires, E> {
        Ok(match text {
            ALLOW_MISSING => Requires::AllowMissing,
            ALLOW_MISSING_OR_FAILED => Requires::AllowMissingOrFailed,
            issuer => Requires::Issuer(issuer.to_owned()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Requires, A::Error> {
        let name: Option<String> = map.next_key()?;
        let requires = match name.as_deref() {
            Some("any") => Requires::Any(map.next_value()?),
            Some("all") => Requires::All(map.next_value()?),
            Some(other) => return Err(de::Error::unknown_field(other, &["any", "all"])),
            None => return Err(de::Error::custom("a requirement needs `any` or `all`")),
        };
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(
                "a requirement has one of `any` and `all`, and nothing else",
            ));
        }
        Ok(requires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            r#""https://a.example""#,
            r#""allow_missing""#,
            r#""allow_missing_or_failed""#,
            r#"{"any":["a","allow_missing"]}"#,
            r#"{"all":["a",{"any":["b","c"]}]}"#,
        ] {
            let requires: Requires = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&requires).unwrap(), text);
        }
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("1", "an issuer, `allow_missing`"),
            ("null", "an issuer, `allow_missing`"),
            (r#"["a"]"#, "an issuer, `allow_missing`"),
            ("{}", "needs `any` or `all`"),
            (r#"{"some":["a"]}"#, "unknown field `some`"),
            (r#"{"any":["a"],"all":["a"]}"#, "nothing else"),
            (r#"{"any":["a"],"any":["a"]}"#, "nothing else"),
            (r#"{"any":"a"}"#, "expected a sequence"),
        ] {
            let error = serde_json::from_str::<Requires>(text).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}

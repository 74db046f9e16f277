use std::ops::Range;
use std::sync::OnceLock;

use serde_json::{Map, Number, Value};

use super::ClaimError;
use super::numeric_date::numeric_date;
use super::text::Text;
use crate::binding::{BindingError, Confirmation};
use crate::jose::{Limits, Scanned, scan_object};

/// A token's claims: those that verification and principals look at typed, all of them kept.
///
/// The payload is walked once and kept as it is; a map of all claims is made when it is asked
/// for.
#[derive(Clone, Debug)]
pub struct Claims {
    payload: String,
    // Boxed: claims are handed on by value, from the parser to the verified token.
    known: Box<[Option<Known>; KNOWN.len()]>,
    /// The strings of the known claims that are arrays.
    texts: Vec<Text>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    session_exp: Option<i64>,
    all: OnceLock<Map<String, Value>>,
}

/// What a known claim has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    StringOrStrings,
    Strings,
    NumericDate,
    Integer,
    Object,
}

#[derive(Clone, Debug)]
enum Known {
    Text(Text),
    Texts(Range<usize>),
    Number(Number),
    /// There, and read from [`Claims::all`] when it is asked for.
    Other,
}

/// In order of their names' lengths, for [`slot`].
const KNOWN: [(&str, Kind); 21] = [
    ("iss", Kind::String),
    ("sub", Kind::String),
    ("aud", Kind::StringOrStrings),
    ("exp", Kind::NumericDate),
    ("nbf", Kind::NumericDate),
    ("iat", Kind::NumericDate),
    ("jti", Kind::String),
    ("azp", Kind::String),
    ("amr", Kind::Strings),
    ("cnf", Kind::Object),
    ("scope", Kind::StringOrStrings),
    ("roles", Kind::StringOrStrings),
    ("groups", Kind::StringOrStrings),
    ("client_id", Kind::String),
    ("token_use", Kind::String),
    ("auth_level", Kind::String),
    ("session_id", Kind::String),
    ("auth_events", Kind::Strings),
    ("session_exp", Kind::NumericDate),
    ("auth_factors", Kind::Integer),
    ("auth_methods", Kind::Strings),
];

impl Claims {
    /// Parses a token's payload and checks the types of the claims the engine knows.
    ///
    /// # Errors
    /// [`ClaimError::Payload`] and [`ClaimError::Type`].
    pub fn parse(payload: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, ClaimError> {
        let payload = String::from_utf8(payload.into())
            .map_err(|_| ClaimError::Payload("not UTF-8".to_owned()))?;
        let mut known = Box::new([const { None }; KNOWN.len()]);
        let mut wrong = None;
        let texts = scan_object(&payload, limits, |name, value| {
            let fitting =
                slot(name).and_then(|slot| Some((KNOWN.get(slot)?, known.get_mut(slot)?)));
            if let Some(((name, kind), slot)) = fitting {
                match Known::new(&payload, *kind, value) {
                    Some(value) => *slot = Some(value),
                    None => wrong = wrong.or(Some(*name)),
                }
            }
        })
        .map_err(ClaimError::Payload)?;
        if let Some(name) = wrong {
            return Err(ClaimError::Type(name));
        }
        let texts = texts
            .into_iter()
            .map(|text| Text::new(&payload, text))
            .collect();
        let mut claims = Self {
            payload,
            known,
            texts,
            exp: None,
            nbf: None,
            iat: None,
            session_exp: None,
            all: OnceLock::new(),
        };
        claims.exp = claims.date("exp")?;
        claims.nbf = claims.date("nbf")?;
        claims.iat = claims.date("iat")?;
        claims.session_exp = claims.date("session_exp")?;
        Ok(claims)
    }

    /// All claims, the unknown ones included.
    pub fn all(&self) -> &Map<String, Value> {
        // The walk has refused whatever this parser would.
        self.all
            .get_or_init(|| serde_json::from_str(&self.payload).unwrap_or_default())
    }

    /// The payload as it was signed, JSON.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// `iss`.
    pub fn iss(&self) -> Option<&str> {
        self.string("iss")
    }

    /// `sub`.
    pub fn sub(&self) -> Option<&str> {
        self.string("sub")
    }

    /// `exp`, Unix seconds.
    pub fn exp(&self) -> Option<i64> {
        self.exp
    }

    /// `nbf`, Unix seconds.
    pub fn nbf(&self) -> Option<i64> {
        self.nbf
    }

    /// `iat`, Unix seconds.
    pub fn iat(&self) -> Option<i64> {
        self.iat
    }

    /// `session_exp`, Unix seconds.
    pub fn session_exp(&self) -> Option<i64> {
        self.session_exp
    }

    /// `auth_factors`.
    pub fn auth_factors(&self) -> Option<i64> {
        match self.known("auth_factors")? {
            Known::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// `aud`, a string or an array of strings (RFC 7519 section 4.1.3).
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.strings("aud")
    }

    /// `scope`: a space-separated string (RFC 8693 section 4.2) or an array.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.strings("scope").flat_map(str::split_ascii_whitespace)
    }

    /// `cnf`: what the token is bound to.
    ///
    /// # Errors
    /// [`BindingError::Unsupported`].
    pub fn confirmation(&self) -> Result<Option<Confirmation>, BindingError> {
        match self.known("cnf").and_then(|_| self.all().get("cnf")) {
            None => Ok(None),
            Some(Value::Object(cnf)) => Confirmation::from_json(cnf).map(Some),
            Some(_) => Err(BindingError::Unsupported),
        }
    }

    /// A claim that is a string.
    pub fn string(&self, name: &str) -> Option<&str> {
        if slot(name).is_none() {
            return self.all().get(name).and_then(Value::as_str);
        }
        match self.known(name)? {
            Known::Text(text) => Some(text.of(&self.payload)),
            _ => None,
        }
    }

    /// The strings of a claim that is a string or an array of strings.
    pub fn strings(&self, name: &str) -> impl Iterator<Item = &str> {
        let known = self.known(name);
        let single = match known {
            Some(Known::Text(text)) => Some(text),
            _ => None,
        };
        let several = match known {
            Some(Known::Texts(range)) => self.texts.get(range.clone()).unwrap_or_default(),
            _ => &[],
        };
        let other = match slot(name) {
            Some(_) => None,
            None => self.all().get(name),
        };
        single
            .into_iter()
            .chain(several)
            .map(|text| text.of(&self.payload))
            .chain(other.and_then(Value::as_str))
            .chain(
                other
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str),
            )
    }

    fn known(&self, name: &str) -> Option<&Known> {
        self.known.get(slot(name)?)?.as_ref()
    }

    fn date(&self, name: &'static str) -> Result<Option<i64>, ClaimError> {
        match self.known(name) {
            Some(Known::Number(number)) => {
                numeric_date(number).map(Some).ok_or(ClaimError::Type(name))
            }
            _ => Ok(None),
        }
    }
}

/// Claims are what their payload says.
impl PartialEq for Claims {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

impl Known {
    /// `None` when the value is not of the kind.
    fn new(payload: &str, kind: Kind, value: Scanned<'_>) -> Option<Self> {
        match (kind, value) {
            (Kind::String | Kind::StringOrStrings, Scanned::Text(text)) => {
                Some(Known::Text(Text::new(payload, text)))
            }
            (Kind::StringOrStrings | Kind::Strings, Scanned::Texts(range)) => {
                Some(Known::Texts(range))
            }
            (Kind::Object, Scanned::Object) => Some(Known::Other),
            (Kind::NumericDate, Scanned::Number(number)) => Some(Known::Number(number)),
            (Kind::Integer, Scanned::Number(number)) if number.is_i64() || number.is_u64() => {
                Some(Known::Number(number))
            }
            _ => None,
        }
    }
}

/// The place of a claim in [`KNOWN`]. Every member of every token is asked for: by length first,
/// which leaves few names to compare.
fn slot(name: &str) -> Option<usize> {
    let range = match name.len() {
        3 => 0..10,
        5 => 10..12,
        6 => 12..13,
        9 => 13..15,
        10 => 15..17,
        11 => 17..19,
        12 => 19..21,
        _ => return None,
    };
    let start = range.start;
    let found = KNOWN.get(range)?.iter().position(|(own, _)| *own == name)?;
    Some(start + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_claim_is_found() {
        for (index, (name, _)) in KNOWN.iter().enumerate() {
            assert_eq!(slot(name), Some(index), "{name}");
        }
        assert_eq!(slot("ext"), None);
    }

    #[test]
    fn known_and_unknown_claims_read_alike() {
        let payload =
            r#"{"sub":"a\u0062","aud":"x","roles":["y","\n"],"team":["p",1,"q"],"site":"s"}"#;
        let claims = Claims::parse(payload, &Limits::default()).unwrap();
        assert_eq!(claims.sub(), Some("ab"));
        assert_eq!(claims.audiences().collect::<Vec<_>>(), ["x"]);
        assert_eq!(claims.strings("roles").collect::<Vec<_>>(), ["y", "\n"]);
        assert_eq!(claims.strings("team").collect::<Vec<_>>(), ["p", "q"]);
        assert_eq!(claims.string("site"), Some("s"));
        assert_eq!(claims.string("team"), None);
        assert_eq!(claims.all().len(), 5);
    }
}

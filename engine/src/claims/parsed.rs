use serde_json::{Map, Value};

use super::ClaimError;
use super::numeric_date::numeric_date;
use crate::jose::{Limits, parse_object};

/// A token's claims: the registered ones typed, all of them kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
    exp: Option<i64>,
    nbf: Option<i64>,
    iat: Option<i64>,
    session_exp: Option<i64>,
}

impl Claims {
    /// Parses a token's payload and checks the types of the claims the engine knows.
    ///
    /// # Errors
    /// [`ClaimError::Payload`] and [`ClaimError::Type`].
    pub fn parse(payload: &[u8], limits: &Limits) -> Result<Self, ClaimError> {
        let all = parse_object(payload, limits).map_err(ClaimError::Payload)?;
        for name in [
            "iss",
            "sub",
            "jti",
            "azp",
            "client_id",
            "token_use",
            "auth_level",
            "session_id",
        ] {
            if all.get(name).is_some_and(|value| !value.is_string()) {
                return Err(ClaimError::Type(name));
            }
        }
        for name in ["aud", "scope", "roles", "groups"] {
            if !all.get(name).is_none_or(is_strings) {
                return Err(ClaimError::Type(name));
            }
        }
        for name in ["auth_methods", "auth_events", "amr"] {
            if !all
                .get(name)
                .is_none_or(|value| value.is_array() && is_strings(value))
            {
                return Err(ClaimError::Type(name));
            }
        }
        Ok(Self {
            exp: numeric_date(&all, "exp")?,
            nbf: numeric_date(&all, "nbf")?,
            iat: numeric_date(&all, "iat")?,
            session_exp: numeric_date(&all, "session_exp")?,
            all,
        })
    }

    /// All claims, the unknown ones included.
    pub fn all(&self) -> &Map<String, Value> {
        &self.all
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

    /// `aud`, a string or an array of strings (RFC 7519 section 4.1.3).
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.strings("aud")
    }

    /// `scope`: a space-separated string (RFC 8693 section 4.2) or an array.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.strings("scope").flat_map(str::split_ascii_whitespace)
    }

    /// A claim that is a string.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }

    /// The strings of a claim that is a string or an array of strings.
    pub fn strings(&self, name: &str) -> impl Iterator<Item = &str> {
        let value = self.all.get(name);
        let single = value.and_then(Value::as_str);
        let several = value.and_then(Value::as_array).into_iter().flatten();
        single.into_iter().chain(several.filter_map(Value::as_str))
    }
}

fn is_strings(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(elements) => elements.iter().all(Value::is_string),
        _ => false,
    }
}

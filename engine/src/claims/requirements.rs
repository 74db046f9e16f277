use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClaimError, Claims};

/// What a site asks of tokens beyond their profile. Nothing by default.
///
/// ```
/// use tokensmith_engine::claims::Requirements;
/// let text = r#"{"min_auth_level": "IAL2", "min_factors": 3, "max_lifetime_s": 900}"#;
/// let requirements: Requirements = serde_json::from_str(text).unwrap();
/// assert_eq!(requirements.min_factors, Some(3));
/// assert!(serde_json::from_str::<Requirements>(r#"{"min_auth_level": "high"}"#).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// The least `auth_level`; another scale, or none, does not fulfil it.
    #[serde(alias = "minAuthLevel", skip_serializing_if = "Option::is_none")]
    pub min_auth_level: Option<AuthLevel>,
    /// The least `auth_factors`.
    #[serde(alias = "minFactors", skip_serializing_if = "Option::is_none")]
    pub min_factors: Option<u32>,
    /// The longest time between `iat` and `exp`, in seconds; a token without `iat` has none.
    #[serde(alias = "maxLifetime", skip_serializing_if = "Option::is_none")]
    pub max_lifetime_s: Option<u32>,
    /// Whether tokens have to be bound to their sender by `cnf`; checked where they are presented.
    #[serde(
        alias = "senderConstrained",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub sender_constrained: bool,
    /// Claims that have to be there and not be `null`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
}

/// A level on a scale: letters and a number, such as `IAL2` or `AAL3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuthLevel {
    scale: String,
    level: u8,
}

impl AuthLevel {
    /// Reads a level.
    ///
    /// # Errors
    /// A sentence that names the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a level: expected letters and a number, as `IAL2`");
        let digits = text.find(|letter: char| !letter.is_ascii_alphabetic());
        let (scale, level) = digits
            .and_then(|at| text.split_at_checked(at))
            .ok_or_else(wrong)?;
        if scale.is_empty() || !level.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self {
            scale: scale.to_ascii_uppercase(),
            level: level.parse().map_err(|_| wrong())?,
        })
    }

    /// Whether `self` is on the scale of `least` and not below it.
    pub fn fulfils(&self, least: &Self) -> bool {
        self.scale == least.scale && self.level >= least.level
    }
}

impl TryFrom<String> for AuthLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<AuthLevel> for String {
    fn from(level: AuthLevel) -> Self {
        format!("{}{}", level.scale, level.level)
    }
}

impl Requirements {
    pub(super) fn check(&self, claims: &Claims) -> Result<(), ClaimError> {
        if let Some(least) = &self.min_auth_level {
            let level = claims
                .string("auth_level")
                .ok_or(ClaimError::Missing("auth_level"))?;
            let own = AuthLevel::parse(level).map_err(|_| ClaimError::AuthLevel)?;
            if !own.fulfils(least) {
                return Err(ClaimError::AuthLevel);
            }
        }
        if let Some(least) = self.min_factors {
            let factors = claims
                .auth_factors()
                .ok_or(ClaimError::Missing("auth_factors"))?;
            if factors < least.into() {
                return Err(ClaimError::TooFewFactors(least));
            }
        }
        if let Some(longest) = self.max_lifetime_s {
            let (iat, exp) = claims
                .iat()
                .zip(claims.exp())
                .ok_or(ClaimError::Missing("iat"))?;
            if exp.saturating_sub(iat) > longest.into() {
                return Err(ClaimError::LifetimeTooLong(longest));
            }
        }
        let absent = |name: &&String| claims.all().get(*name).is_none_or(Value::is_null);
        match self.claims.iter().find(absent) {
            Some(name) => Err(ClaimError::Required(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Limits;

    #[test]
    fn each_requirement() {
        let payload =
            r#"{"auth_level":"IAL2","auth_factors":2,"iat":0,"exp":900,"team":"x","gone":null}"#;
        let claims = Claims::parse(payload, &Limits::default()).unwrap();
        for (requirements, code) in [
            ("{}", None),
            (r#"{"min_auth_level":"IAL2"}"#, None),
            (r#"{"min_auth_level":"ial1"}"#, None),
            (r#"{"min_auth_level":"IAL3"}"#, Some("auth_level_too_low")),
            (r#"{"min_auth_level":"AAL1"}"#, Some("auth_level_too_low")),
            (r#"{"min_factors":2}"#, None),
            (r#"{"minFactors":3}"#, Some("auth_factors_too_few")),
            (r#"{"max_lifetime_s":900}"#, None),
            (r#"{"max_lifetime_s":899}"#, Some("lifetime_too_long")),
            (r#"{"claims":["team"]}"#, None),
            (r#"{"claims":["team","gone"]}"#, Some("claim_missing")),
        ] {
            let requirements: Requirements = serde_json::from_str(requirements).unwrap();
            let found = requirements.check(&claims).err().map(|error| error.code());
            assert_eq!(found, code, "{requirements:?}");
        }
        let empty = Claims::parse("{}", &Limits::default()).unwrap();
        for requirements in [
            r#"{"min_auth_level":"IAL1"}"#,
            r#"{"min_factors":0}"#,
            r#"{"max_lifetime_s":1}"#,
        ] {
            let requirements: Requirements = serde_json::from_str(requirements).unwrap();
            let found = requirements.check(&empty).err().map(|error| error.code());
            assert_eq!(found, Some("claim_missing"), "{requirements:?}");
        }
    }

    #[test]
    fn levels() {
        for text in [
            "", "2", "IAL", "IAL-2", "IAL2x", "IAL999", "I AL2", "\u{e9}2",
        ] {
            assert!(AuthLevel::parse(text).is_err(), "{text}");
        }
        assert_eq!(String::from(AuthLevel::parse("ial2").unwrap()), "IAL2");
    }
}

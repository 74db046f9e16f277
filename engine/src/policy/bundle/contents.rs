use serde_json::{Map, Value};

use super::{BundleError, BundleLimits, MAX_SEQUENCE, shortened};
use crate::claims::DEFAULT_LEEWAY;
use crate::jose::{Limits, parse_object};

/// The payload.
pub(super) struct Contents {
    pub(super) model: String,
    pub(super) rules: Vec<(String, String)>,
    pub(super) policy_version: String,
    iss: String,
    pub(super) sequence: u64,
    iat: i64,
    nbf: Option<i64>,
    pub(super) exp: i64,
}

impl Contents {
    pub(super) fn parse(payload: &[u8], limits: BundleLimits) -> Result<Self, BundleError> {
        // The payload, its list of rules, and each of these with two members; eight members are
        // the payload's own.
        let json = Limits {
            depth: 3,
            members: limits.rules.saturating_mul(3).saturating_add(8),
            ..Limits::default()
        };
        let map = parse_object(payload, &json)
            .map_err(|message| BundleError::Malformed(format!("payload: {message}")))?;
        let mut members = Members(map);
        let contents = Self {
            model: members.text("model")?,
            rules: members.rules()?,
            policy_version: members.text("policy_version")?,
            iss: members.text("iss")?,
            sequence: members.sequence()?,
            iat: members.seconds("iat")?.ok_or_else(|| wrong("iat"))?,
            nbf: members.seconds("nbf")?,
            exp: members.seconds("exp")?.ok_or_else(|| wrong("exp"))?,
        };
        members.end()?;
        Ok(contents)
    }

    pub(super) fn check(&self, issuer: &str, now: i64) -> Result<(), BundleError> {
        if self.iss != issuer {
            return Err(BundleError::Issuer {
                found: shortened(&self.iss),
                expected: issuer.to_owned(),
            });
        }
        if now >= self.exp.saturating_add(DEFAULT_LEEWAY) {
            return Err(BundleError::Expired {
                expired: self.exp,
                now,
            });
        }
        let begins = self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat));
        if now.saturating_add(DEFAULT_LEEWAY) < begins {
            return Err(BundleError::NotYetValid { begins, now });
        }
        Ok(())
    }
}

/// The members of an object that were not taken out yet.
struct Members(Map<String, Value>);

impl Members {
    fn text(&mut self, name: &'static str) -> Result<String, BundleError> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(wrong(name)),
        }
    }

    /// Whole seconds: whoever makes bundles has no reason for fractions.
    fn seconds(&mut self, name: &'static str) -> Result<Option<i64>, BundleError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong(name)),
        }
    }

    fn sequence(&mut self) -> Result<u64, BundleError> {
        self.0
            .remove("sequence")
            .and_then(|value| value.as_u64())
            .filter(|sequence| *sequence <= MAX_SEQUENCE)
            .ok_or_else(|| wrong("sequence"))
    }

    fn rules(&mut self) -> Result<Vec<(String, String)>, BundleError> {
        let Some(Value::Array(elements)) = self.0.remove("rules") else {
            return Err(wrong("rules"));
        };
        elements
            .into_iter()
            .map(|element| {
                let Value::Object(map) = element else {
                    return Err(wrong("rules"));
                };
                let mut rule = Members(map);
                let pair = (rule.text("name")?, rule.text("text")?);
                rule.end().map(|()| pair)
            })
            .collect()
    }

    fn end(self) -> Result<(), BundleError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(BundleError::Malformed(format!(
                "unknown member `{}`",
                shortened(name)
            ))),
        }
    }
}

fn wrong(name: &str) -> BundleError {
    BundleError::Malformed(format!("member `{name}` is missing or has a wrong value"))
}

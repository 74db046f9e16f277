use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MAX_SESSION_SECONDS;
use super::auth_factors::factor_count;
use super::claim_presets::Output;
use crate::claims::{Claims, numeric_date};
use crate::principal::ClaimPath;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum ClaimSource {
    /// `{"claim": ..}`: a claim, or a member within claims.
    Claim {
        /// Its name, or the names that lead to it.
        claim: ClaimPath,
        /// Only texts with this prefix, without it.
        prefix: Option<String>,
    },
    /// `{"value": ..}`: always this text, list of texts or number.
    Value(Value),
    /// `{"claim": .., "map": {..}}`: what the map has for a claim's values; none for others.
    Map {
        /// The claim.
        claim: ClaimPath,
        /// Its values, and what they become.
        map: BTreeMap<String, Value>,
    },
    /// `{"count_of": ..}`: how many kinds of factors the authentication methods of a claim are
    /// (RFC 8176); `mfa` says that they are two at least. None where no method is known.
    CountOf(ClaimPath),
    /// `{"seconds": .., "from": ..}`: a time after another.
    Seconds {
        /// How long after.
        seconds: u32,
        /// After what.
        from: SessionStart,
    },
}

/// From when a session's seconds count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStart {
    /// The exchange.
    #[default]
    Now,
    /// The claim `auth_time` (OpenID Connect Core section 2); no value without it.
    AuthTime,
}

/// How a source is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<ClaimPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_of: Option<ClaimPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<SessionStart>,
}

impl ClaimSource {
    /// Checks that the source can give what `output` needs.
    pub(super) fn check(&self, output: Output) -> Result<(), String> {
        let is_number = output == Output::AuthFactors;
        let fits = |value: &Value| match value {
            Value::Number(number) => is_number && number.is_u64(),
            Value::String(text) => !is_number && !text.trim().is_empty(),
            Value::Array(elements) => {
                !is_number
                    && !elements.is_empty()
                    && elements
                        .iter()
                        .all(|element| element.as_str().is_some_and(|text| !text.trim().is_empty()))
            }
            _ => false,
        };
        let kind = if is_number {
            "a whole number"
        } else {
            "a text or a list of texts"
        };
        match self {
            ClaimSource::Claim { claim, .. } => check_path(claim),
            ClaimSource::Value(_) | ClaimSource::Map { .. } if output == Output::SessionExp => {
                Err("an end of sessions is `claim` or `seconds`".to_owned())
            }
            ClaimSource::Value(value) if fits(value) => Ok(()),
            ClaimSource::Value(_) => Err(format!("`value` has to be {kind}")),
            ClaimSource::Map { claim, map } => {
                check_path(claim)?;
                match map.iter().find(|(_, value)| !fits(value)) {
                    None if map.is_empty() => Err("`map` is empty".to_owned()),
                    None => Ok(()),
                    Some((name, _)) => Err(format!("`map` has to have {kind} for `{name}`")),
                }
            }
            ClaimSource::CountOf(claim) if is_number => check_path(claim),
            ClaimSource::CountOf(_) => Err("`count_of` is for `auth_factors` only".to_owned()),
            ClaimSource::Seconds { seconds, .. } if output == Output::SessionExp => {
                if (1..=MAX_SESSION_SECONDS).contains(&i64::from(*seconds)) {
                    Ok(())
                } else {
                    Err(format!("`seconds` has to be 1 to {MAX_SESSION_SECONDS}"))
                }
            }
            ClaimSource::Seconds { .. } => Err("`seconds` is for `session_exp` only".to_owned()),
        }
    }

    /// The texts it gives.
    pub(super) fn texts(&self, claims: &Claims) -> Vec<String> {
        match self {
            ClaimSource::Claim { claim, prefix } => {
                let prefix = prefix.as_deref().unwrap_or_default();
                let found = find(claim, claims).map(strings).unwrap_or_default();
                found
                    .into_iter()
                    .filter_map(|text| text.strip_prefix(prefix))
                    .map(str::to_owned)
                    .collect()
            }
            ClaimSource::Value(value) => owned(strings(value)),
            ClaimSource::Map { claim, map } => mapped(claim, map, claims)
                .flat_map(|value| owned(strings(value)))
                .collect(),
            ClaimSource::CountOf(_) | ClaimSource::Seconds { .. } => Vec::new(),
        }
    }

    /// The number it gives.
    pub(super) fn number(&self, claims: &Claims) -> Option<u64> {
        match self {
            ClaimSource::Claim { claim, .. } => find(claim, claims)?.as_u64(),
            ClaimSource::Value(value) => value.as_u64(),
            ClaimSource::Map { claim, map } => {
                mapped(claim, map, claims).filter_map(Value::as_u64).max()
            }
            ClaimSource::CountOf(claim) => {
                let methods = strings(find(claim, claims)?);
                Some(factor_count(methods)).filter(|count| *count > 0)
            }
            ClaimSource::Seconds { .. } => None,
        }
    }

    /// The time it gives, Unix seconds.
    pub(super) fn time(&self, claims: &Claims, now: i64) -> Option<i64> {
        match self {
            ClaimSource::Claim { claim, .. } => date(find(claim, claims)?),
            ClaimSource::Seconds { seconds, from } => {
                let start = match from {
                    SessionStart::Now => now,
                    // Clocks differ; nobody authenticated in the future.
                    SessionStart::AuthTime => date(claims.all().get("auth_time")?)?.min(now),
                };
                Some(start.saturating_add(i64::from(*seconds)))
            }
            ClaimSource::Value(_) | ClaimSource::Map { .. } | ClaimSource::CountOf(_) => None,
        }
    }
}

impl TryFrom<Fields> for ClaimSource {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields {
            claim,
            prefix,
            map,
            value,
            count_of,
            seconds,
            from,
        } = fields;
        match (claim, prefix, map, value, count_of, seconds, from) {
            (Some(claim), prefix, None, None, None, None, None) => {
                Ok(ClaimSource::Claim { claim, prefix })
            }
            (Some(claim), None, Some(map), None, None, None, None) => {
                Ok(ClaimSource::Map { claim, map })
            }
            (None, None, None, Some(value), None, None, None) => Ok(ClaimSource::Value(value)),
            (None, None, None, None, Some(claim), None, None) => Ok(ClaimSource::CountOf(claim)),
            (None, None, None, None, None, Some(seconds), from) => Ok(ClaimSource::Seconds {
                seconds,
                from: from.unwrap_or_default(),
            }),
            _ => Err(
                "a source has `claim` (with `prefix` or `map`), `value`, `count_of`, or `seconds` \
                 (with `from`)",
            ),
        }
    }
}

impl From<ClaimSource> for Fields {
    fn from(source: ClaimSource) -> Self {
        match source {
            ClaimSource::Claim { claim, prefix } => Self {
                claim: Some(claim),
                prefix,
                ..Self::default()
            },
            ClaimSource::Value(value) => Self {
                value: Some(value),
                ..Self::default()
            },
            ClaimSource::Map { claim, map } => Self {
                claim: Some(claim),
                map: Some(map),
                ..Self::default()
            },
            ClaimSource::CountOf(claim) => Self {
                count_of: Some(claim),
                ..Self::default()
            },
            ClaimSource::Seconds { seconds, from } => Self {
                seconds: Some(seconds),
                from: Some(from),
                ..Self::default()
            },
        }
    }
}

fn check_path(path: &ClaimPath) -> Result<(), String> {
    let names = match path {
        ClaimPath::Name(name) => std::slice::from_ref(name),
        ClaimPath::Nested(names) => names,
    };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err("a claim needs a name".to_owned());
    }
    Ok(())
}

fn find<'c>(path: &ClaimPath, claims: &'c Claims) -> Option<&'c Value> {
    match path {
        ClaimPath::Name(name) => claims.all().get(name),
        ClaimPath::Nested(names) => {
            let (first, rest) = names.split_first()?;
            rest.iter()
                .try_fold(claims.all().get(first)?, |value, name| {
                    value.as_object()?.get(name)
                })
        }
    }
}

/// A text, or those of a list.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// What the map has for the values of a claim, in their order. Numbers are looked up as they are
/// written: providers send levels either way.
fn mapped<'m>(
    claim: &ClaimPath,
    map: &'m BTreeMap<String, Value>,
    claims: &Claims,
) -> impl Iterator<Item = &'m Value> + use<'m> {
    let names: Vec<String> = match find(claim, claims) {
        Some(Value::Number(number)) => vec![number.to_string()],
        Some(value) => owned(strings(value)),
        None => Vec::new(),
    };
    names.into_iter().filter_map(move |name| map.get(&name))
}

fn date(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => numeric_date(number),
        _ => None,
    }
}

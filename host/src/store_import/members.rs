use serde_json::{Map, Value};

use super::RecordFault;
use super::go_time::{NOT_SET, unix_seconds};

/// The longest time that a record may last: 10 years.
pub(super) const MOST_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// The most bytes of a text.
const TEXT_BYTES: usize = 1024;
/// The most texts of a list.
const TEXTS: usize = 1000;

/// The members of a record, each taken once. Every one has two spellings, that of the newer
/// releases first; `null` is as good as absent.
#[derive(Debug)]
pub(super) struct Members(Map<String, Value>);

/// A digest, and how it was written.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) bytes: [u8; 32],
    pub(super) text: String,
}

type Name = [&'static str; 2];

impl Members {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RecordFault> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(RecordFault::NotAnObject),
            Err(error) => Err(RecordFault::Json {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// A member to call the record by, as it is.
    pub(super) fn shown(&self, name: Name) -> Option<String> {
        let value = name.iter().find_map(|name| self.0.get(*name))?;
        let text = value.as_str()?.chars().filter(|char| !char.is_control());
        Some(text.take(128).collect())
    }

    /// Everything was taken.
    pub(super) fn finish(self) -> Result<(), RecordFault> {
        match self.0.keys().next() {
            Some(name) => Err(RecordFault::Unknown(
                name.chars()
                    .filter(|char| !char.is_control())
                    .take(128)
                    .collect(),
            )),
            None => Ok(()),
        }
    }

    /// Takes a member and forgets it. Says whether it had a value: more than `null`, an empty text
    /// or an empty list.
    pub(super) fn discard(&mut self, name: Name) -> Result<bool, RecordFault> {
        Ok(match self.take(name)? {
            None => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        })
    }

    /// A text that is not blank.
    pub(super) fn text(&mut self, name: Name) -> Result<String, RecordFault> {
        let value = self
            .take(name)?
            .ok_or(RecordFault::Missing(spelling(name)))?;
        text(value).ok_or(wrong(name, "a text of at most 1024 bytes, not blank"))
    }

    /// A text, or nothing where it is absent or empty.
    pub(super) fn optional_text(&mut self, name: Name) -> Result<Option<String>, RecordFault> {
        match self.take(name)? {
            None => Ok(None),
            Some(Value::String(empty)) if empty.is_empty() => Ok(None),
            Some(value) => text(value)
                .map(Some)
                .ok_or(wrong(name, "a text of at most 1024 bytes, not blank")),
        }
    }

    /// A list of texts; empty where it is absent.
    pub(super) fn texts(&mut self, name: Name) -> Result<Vec<String>, RecordFault> {
        let list = match self.take(name)? {
            None => Some(Vec::new()),
            Some(Value::Array(list)) if list.len() <= TEXTS => {
                list.into_iter().map(text).collect::<Option<Vec<_>>>()
            }
            Some(_) => None,
        };
        list.ok_or(wrong(
            name,
            "a list of at most 1000 texts, none of them blank",
        ))
    }

    /// A time in Unix seconds.
    pub(super) fn time(&mut self, name: Name) -> Result<i64, RecordFault> {
        self.optional_time(name)?
            .ok_or(RecordFault::Missing(spelling(name)))
    }

    /// A time in Unix seconds, or nothing where it is absent or not set.
    pub(super) fn optional_time(&mut self, name: Name) -> Result<Option<i64>, RecordFault> {
        match self.take(name)? {
            None => Ok(None),
            Some(Value::String(text)) if text == NOT_SET => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(unix_seconds)
                .map(Some)
                .ok_or(wrong(name, "a time of RFC 3339 after 1970")),
        }
    }

    /// A length of time, written in nanoseconds, in seconds.
    pub(super) fn seconds(&mut self, name: Name) -> Result<i64, RecordFault> {
        self.take(name)?
            .ok_or(RecordFault::Missing(spelling(name)))?
            .as_i64()
            .map(|nanoseconds| nanoseconds / 1_000_000_000)
            .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
            .ok_or(wrong(name, "between 1 second and 10 years in nanoseconds"))
    }

    /// A number; 0 where it is absent.
    pub(super) fn count(&mut self, name: Name) -> Result<u64, RecordFault> {
        match self.take(name)? {
            None => Ok(0),
            Some(value) => value.as_u64().ok_or(wrong(name, "a number that counts")),
        }
    }

    /// A SHA-256 digest in lower case hexadecimal, the only way it is written.
    pub(super) fn digest(&mut self, name: Name) -> Result<Digest, RecordFault> {
        let value = self
            .take(name)?
            .ok_or(RecordFault::Missing(spelling(name)))?;
        let text = value.as_str().unwrap_or_default();
        match bytes(text) {
            Some(bytes) => Ok(Digest {
                bytes,
                text: text.to_owned(),
            }),
            None => Err(wrong(name, "64 hexadecimal digits in lower case")),
        }
    }

    fn take(&mut self, [now, before]: Name) -> Result<Option<Value>, RecordFault> {
        match (self.0.remove(now), self.0.remove(before)) {
            (Some(_), Some(_)) => Err(RecordFault::Spelled(now)),
            (now, before) => Ok(now.or(before).filter(|value| !value.is_null())),
        }
    }
}

fn spelling([now, _]: Name) -> &'static str {
    now
}

fn wrong(name: Name, expected: &'static str) -> RecordFault {
    RecordFault::Member {
        member: spelling(name),
        expected,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text)
            if text.len() <= TEXT_BYTES
                && !text.trim().is_empty()
                && !text.chars().any(char::is_control) =>
        {
            Some(text)
        }
        _ => None,
    }
}

fn bytes(hexadecimal: &str) -> Option<[u8; 32]> {
    if hexadecimal.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(hexadecimal.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else {
            return None;
        };
        *byte = nibble(*high)? * 16 + nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

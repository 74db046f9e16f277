//! Values that are written as text in the file. They are read where the text is, so that errors
//! have its place.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::listener::parse_network;

/// What `FromStr` reads.
pub(super) fn from_str<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let parse = |text: &str| text.parse::<T>().map_err(|error: T::Err| error.to_string());
    read(deserializer, "a string", parse).map(Some)
}

/// As [`from_str`], for types whose error does not name the text.
pub(super) fn address<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let parse = |text: &str| {
        text.parse::<T>()
            .map_err(|error: T::Err| format!("`{text}`: {error}"))
    };
    read(deserializer, "an IP address", parse).map(Some)
}

/// A time such as `15s`.
pub(super) fn duration<'de, D>(deserializer: D) -> Result<Option<Duration>, D::Error>
where
    D: Deserializer<'de>,
{
    let parse = |text: &str| {
        humantime::parse_duration(text)
            .map_err(|error| format!("`{text}` is no time such as `15s`: {error}"))
    };
    read(deserializer, "a time such as `15s`", parse).map(Some)
}

/// A list of IP networks.
pub(super) fn networks<'de, D>(deserializer: D) -> Result<Option<Vec<IpNet>>, D::Error>
where
    D: Deserializer<'de>,
{
    let networks = Vec::<Network>::deserialize(deserializer)?;
    Ok(Some(networks.into_iter().map(|own| own.0).collect()))
}

struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| parse_network(text).map_err(|error| error.to_string());
        read(deserializer, "an IP network", parse).map(Network)
    }
}

fn read<'de, D, T, F>(deserializer: D, expected: &'static str, parse: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: Fn(&str) -> Result<T, String>,
{
    deserializer.deserialize_str(Text {
        expected,
        parse,
        value: PhantomData,
    })
}

struct Text<T, F> {
    expected: &'static str,
    parse: F,
    value: PhantomData<T>,
}

impl<T, F> Visitor<'_> for Text<T, F>
where
    F: Fn(&str) -> Result<T, String>,
{
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
        (self.parse)(text).map_err(R::custom)
    }
}

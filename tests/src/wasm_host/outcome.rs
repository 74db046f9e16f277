//! How calls into the module end.

use wasmtime::{Error, Trap};

use super::host::{LocalResponse, Stream};
use super::pairs::Headers;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went on with these headers.
    Continued(Headers),
    /// The module answered it.
    Denied(LocalResponse),
    /// It waits, or its stream is closed.
    Paused,
}

impl Outcome {
    pub(super) fn of(stream: &Stream) -> Self {
        match (&stream.local_response, &stream.continued) {
            (Some(response), _) => Self::Denied(response.clone()),
            (None, Some(headers)) => Self::Continued(headers.clone()),
            (None, None) => Self::Paused,
        }
    }

    /// The HTTP status of the module's answer; `None` without one.
    pub fn status(&self) -> Option<u32> {
        match self {
            Self::Denied(response) => Some(response.status),
            _ => None,
        }
    }

    /// The values with which a header went on; `None` when the request did not.
    pub fn continued_with(&self, name: &str) -> Option<Vec<String>> {
        let Self::Continued(headers) = self else {
            return None;
        };
        let own = headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        Some(
            own.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                .collect(),
        )
    }
}

/// The module trapped. In Envoy that ends its virtual machine, and every request of the worker is
/// answered with 503 until there is another.
#[derive(Clone, Debug)]
pub struct Trapped {
    /// Whether it ran for longer than it may: an endless loop.
    pub endless: bool,
    /// The message of its panic, with the place in its first line; `None` when it logged none.
    pub panic: Option<String>,
    /// What the WebAssembly runtime says.
    pub error: String,
}

impl Trapped {
    pub(super) fn new(error: &Error, log: &[(u32, String)]) -> Self {
        let panic = log
            .iter()
            .map(|(_, line)| line)
            .find(|line| line.starts_with("panicked at "));
        Self {
            endless: error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel),
            panic: panic.cloned(),
            error: format!("{error:#}"),
        }
    }

    /// Whether it panicked in the source file `file` of the SDK.
    pub fn is_of_sdk(&self, file: &str) -> bool {
        let place = self.panic.as_deref().and_then(|text| text.lines().next());
        place.is_some_and(|place| place.contains("/proxy-wasm-") && place.contains(file))
    }
}

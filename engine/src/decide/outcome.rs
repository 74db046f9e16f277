use std::sync::Arc;

use super::identity::IDENTITY_HEADERS;
use super::{DecisionRecord, Identity};
use crate::authz::Decision;

/// What to do with a request. A shell carries out [`Outcome::denial`], or else
/// [`Outcome::header_edits`] and [`Outcome::target`].
#[derive(Clone, Debug)]
pub struct Outcome<'r> {
    /// The answer to give instead of handing the request on.
    pub denial: Option<Denial>,
    /// Who the caller is, when a token was verified.
    pub identity: Option<Arc<Identity>>,
    /// The further tokens that were asked for.
    pub others: Vec<Arc<Identity>>,
    /// Request headers to remove before any is set, whatever was decided; in lower case, each
    /// once.
    pub strip: Arc<[String]>,
    /// The request target to hand on, where a token was cut out of it.
    pub target: Option<String>,
    /// The headers (names in lower case) that a token was cut out of; without a value they are
    /// removed.
    pub token_headers: Vec<(String, Option<String>)>,
    /// What was decided and why.
    pub record: DecisionRecord<'r>,
    /// The key that is not loaded: fetching may help. Also where it was not needed in the end.
    pub wanted: Option<WantedKey>,
}

/// A key that a token named and that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKey {
    /// The token's issuer.
    pub issuer: String,
    /// The key; `None` when no key of the issuer is loaded.
    pub kid: Option<String>,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body, schema `authz.deny.v1`; empty for the method `HEAD`, whose answer has none.
    pub body: Vec<u8>,
}

impl Outcome<'_> {
    /// Whether the request is handed on.
    pub fn is_allowed(&self) -> bool {
        self.denial.is_none()
    }

    /// Every change of request headers, each name (lower case) once: without a value all copies
    /// are removed, with one it takes the place of all copies.
    pub fn header_edits(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let removed = self.strip.iter().filter(move |name| !self.sets(name));
        let cut = self.token_headers.iter();
        removed
            .map(|name| (name.as_str(), None))
            .chain(self.set_headers().map(|(name, value)| (name, Some(value))))
            .chain(cut.map(|(name, value)| (name.as_str(), value.as_deref())))
    }

    /// Whether it was denied only because the first keys, or the first policy, are not there yet:
    /// deciding again in a while may allow it.
    pub fn came_early(&self) -> bool {
        self.denial.is_some()
            && matches!(
                self.record.reason,
                "keys_unavailable" | "policy_unavailable"
            )
    }

    /// Whether the shadow policy was asked and would have let through what the policy in force
    /// does not, or the other way round.
    pub fn shadow_differs(&self) -> bool {
        let allow = Decision::Allow.name();
        self.record
            .shadow
            .as_ref()
            .is_some_and(|shadow| (shadow.decision == allow) != (self.record.decision == allow))
    }

    /// Detaches the outcome from the request.
    pub fn into_owned(self) -> Outcome<'static> {
        Outcome {
            denial: self.denial,
            identity: self.identity,
            others: self.others,
            strip: self.strip,
            target: self.target,
            token_headers: self.token_headers,
            record: self.record.into_owned(),
            wanted: self.wanted,
        }
    }

    /// The headers that are set: the principal's, and of further tokens what says nothing about
    /// the principal and is not set yet.
    fn set_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.identity.iter().flat_map(|own| own.headers().iter());
        let others = self.others.iter().enumerate();
        let further = others.flat_map(move |(index, other)| {
            other.headers().iter().filter(move |(name, _)| {
                let is_principal = IDENTITY_HEADERS.contains(&name.as_str());
                let mut earlier = self.identity.iter().chain(self.others.iter().take(index));
                !is_principal && !earlier.any(|identity| identity.sets(name))
            })
        });
        own.chain(further)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn sets(&self, name: &str) -> bool {
        let own = self.identity.as_ref();
        let is_principal = IDENTITY_HEADERS.contains(&name);
        own.is_some_and(|own| own.sets(name))
            || (!is_principal && self.others.iter().any(|other| other.sets(name)))
    }
}

impl Denial {
    /// What a shell answers that cannot ask for a decision, or cannot carry it out.
    pub fn unavailable() -> Self {
        Self {
            status: 503,
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body: br#"{"schema_version":"authz.deny.v1","schema":"authz.deny.v1","code":"AUTHZ_ENGINE_ERROR","message":"authorization engine error","decision":"error","reason":"engine_error"}"#.to_vec(),
        }
    }
}

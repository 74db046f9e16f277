use std::sync::Arc;

use serde::Deserialize;

use super::requirement::Requirement;
use super::{ConfigError, Mode, Requires};

/// What the proxy's own route says about a request, over the route table's row; a
/// [`super::Decider`] makes it of JSON with the members `public`, `object`, `action`, `mode` and
/// `requires`. Those that are not there stay as the row has them, but for `public`: a route that
/// something is said about is public only if that is said too.
///
/// What is no such JSON makes an override by which every request is refused.
#[derive(Clone, Debug)]
pub struct RouteOverride(Result<RouteChanges, ConfigError>);

/// What an override changes.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteChanges {
    pub(super) public: Option<bool>,
    pub(super) object: Option<Arc<str>>,
    pub(super) action: Option<Arc<str>>,
    pub(super) mode: Option<Mode>,
    pub(super) requirement: Option<Arc<Requirement>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    public: Option<bool>,
    object: Option<String>,
    action: Option<String>,
    mode: Option<Mode>,
    requires: Option<Requires>,
}

impl RouteOverride {
    /// Longest text, in bytes.
    const BYTES: usize = 16 * 1024;

    /// `position` finds issuers.
    pub(super) fn parse(json: &str, position: &dyn Fn(&str) -> Option<usize>) -> Self {
        Self(RouteChanges::parse(json, position))
    }

    /// What is wrong with it, for a log.
    pub fn error(&self) -> Option<&ConfigError> {
        self.0.as_ref().err()
    }

    pub(super) fn changes(&self) -> Result<&RouteChanges, &ConfigError> {
        self.0.as_ref()
    }
}

impl RouteChanges {
    fn parse(json: &str, position: &dyn Fn(&str) -> Option<usize>) -> Result<Self, ConfigError> {
        let refused = |field: &str, message: &str| {
            let field = format!("override{field}");
            Err(ConfigError::field(field, message))
        };
        if json.len() > RouteOverride::BYTES {
            return refused("", "is longer than 16 KiB");
        }
        let own: Members = match serde_json::from_str(json) {
            Ok(own) => own,
            Err(error) => return refused("", &error.to_string()),
        };
        for (field, text) in [(".object", &own.object), (".action", &own.action)] {
            let Some(text) = text else {
                continue;
            };
            if text.trim().is_empty() {
                return refused(field, "is blank");
            }
            if text.contains(['{', '}']) {
                return refused(field, "has braces: names of segments are for `routes`");
            }
        }
        let says_more = own.object.is_some() || own.action.is_some() || own.requires.is_some();
        if own.public == Some(true) && says_more {
            let message = "is true, and nothing is asked of a public route";
            return refused(".public", message);
        }
        let requirement = own
            .requires
            .map(|requires| Requirement::compile(&requires, "override.requires", position));
        Ok(Self {
            public: own.public.or(says_more.then_some(false)),
            object: own.object.map(Into::into),
            action: own.action.map(Into::into),
            mode: own.mode,
            requirement: requirement.transpose()?.map(Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> RouteOverride {
        RouteOverride::parse(json, &|name| (name == "iss").then_some(0))
    }

    #[test]
    fn what_is_said() {
        let own = parse(r#"{"object":"o","mode":"shadow","requires":"iss"}"#);
        let changes = own.changes().unwrap();
        assert_eq!(changes.public, Some(false));
        assert_eq!(changes.object.as_deref(), Some("o"));
        assert_eq!(
            (changes.action.is_none(), changes.mode),
            (true, Some(Mode::Shadow))
        );
        assert_eq!(
            changes.requirement.as_deref(),
            Some(&Requirement::Issuer(0))
        );
        assert_eq!(parse("{}").changes().unwrap().public, None);
        let off = parse(r#"{"mode":"off"}"#);
        assert_eq!(off.changes().unwrap().public, None);
        assert_eq!(
            parse(r#"{"public":true}"#).changes().unwrap().public,
            Some(true)
        );
    }

    #[test]
    fn mistakes_are_kept() {
        let long = format!("{{{}}}", " ".repeat(RouteOverride::BYTES));
        for (json, message) in [
            ("", "`override`"),
            ("[]", "`override`"),
            (r#"{"objet":"o"}"#, "unknown field `objet`"),
            (r#"{"object":" "}"#, "`override.object`"),
            (r#"{"action":"{id}"}"#, "`override.action`"),
            (r#"{"public":true,"action":"a"}"#, "`override.public`"),
            (r#"{"requires":"other"}"#, "`override.requires`"),
            (r#"{"mode":"on"}"#, "unknown variant `on`"),
            (long.as_str(), "16 KiB"),
        ] {
            let own = parse(json);
            let error = own.error().unwrap().to_string();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}

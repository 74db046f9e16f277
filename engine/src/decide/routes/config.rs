use serde::{Deserialize, Serialize};

use super::host::HostRule;
use super::path_rule::PathRule;
use super::route::Route;
use super::template::Template;
use crate::decide::config::is_http_token;
use crate::decide::{Mode, Requires};

/// One row of the route table; the first in order that matches counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// Let them through without a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// The object that policy decides on. `{name}` is replaced by the segment of the path that
    /// the pattern calls so, decoded, whatever characters it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The action that policy decides on, with names replaced as in `object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Which tokens it needs, instead of [`crate::decide::Config::requires`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
    /// The mode in force for it, instead of [`crate::decide::Config::mode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// Which requests a route is for. Exactly one of `prefix`, `exact` and `pattern` is given. Paths
/// are compared in the form that [`crate::decide::normalise_path`] gives them: decoded, and
/// without a `/` at the end, which rules may have or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteMatch {
    /// Whole segments: `/nodes` matches `/nodes` and `/nodes/1`, not `/nodesfoo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Segments: `{name}`, `:name` and `*` match any one; a last `*` matches one or more, a last
    /// `**` any number, none too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Methods, compared exactly; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The host the caller addressed: a name, or `*.` and a name for all hosts below it, at any
    /// depth. Compared without port and case. A request whose host is not known does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl RouteConfig {
    /// The row in the form that requests are compared with, or what is wrong with it.
    pub(super) fn compile(&self) -> Result<(PathRule, Route), String> {
        let path = self.matches.path_rule()?;
        self.check_input()?;
        if let Some(method) = self
            .matches
            .methods
            .iter()
            .find(|method| !is_http_token(method))
        {
            return Err(format!("`{method}` is not an HTTP method"));
        }
        let template = |text: Option<&str>| Template::parse(text.unwrap_or_default(), &path);
        let route = Route {
            public: self.public,
            object: template(self.object.as_deref())?,
            action: template(self.action.as_deref())?,
            methods: self.matches.methods.clone(),
            host: self
                .matches
                .host
                .as_deref()
                .map(HostRule::parse)
                .transpose()?,
        };
        Ok((path, route))
    }

    fn check_input(&self) -> Result<(), String> {
        let named =
            |value: &Option<String>| value.as_deref().is_some_and(|text| !text.trim().is_empty());
        match (self.public, named(&self.object), named(&self.action)) {
            (true, _, _) if self.object.is_some() || self.action.is_some() => {
                Err("a public route has no `object` and `action`".to_owned())
            }
            (true, _, _) if self.requires.is_some() || self.mode.is_some() => {
                Err("a public route has no `requires` and `mode`".to_owned())
            }
            (true, _, _) | (false, true, true) => Ok(()),
            _ => Err("needs `public: true`, or both `object` and `action`".to_owned()),
        }
    }
}

impl RouteMatch {
    fn path_rule(&self) -> Result<PathRule, String> {
        match (&self.prefix, &self.exact, &self.pattern) {
            (Some(path), None, None) => PathRule::prefix(path),
            (None, Some(path), None) => PathRule::exact(path),
            (None, None, Some(path)) => PathRule::pattern(path),
            _ => Err("`match` needs exactly one of `prefix`, `exact` and `pattern`".to_owned()),
        }
    }
}

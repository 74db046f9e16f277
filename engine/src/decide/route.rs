use serde::{Deserialize, Serialize};

/// One row of the route table; the first that matches counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// Let them through without a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// The object that policy decides on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The action that policy decides on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Which requests a route is for. Exactly one of `prefix`, `exact` and `pattern` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteMatch {
    /// Whole segments: `/nodes` matches `/nodes` and `/nodes/1`, not `/nodesfoo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Segments, of which `*` and `{name}` match any one and a last `**` any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Methods, compared exactly; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

impl RouteConfig {
    /// What is wrong with the row, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let given = [
            &self.matches.prefix,
            &self.matches.exact,
            &self.matches.pattern,
        ];
        let mut paths = given.into_iter().flatten();
        let (Some(path), None) = (paths.next(), paths.next()) else {
            return Err("`match` needs exactly one of `prefix`, `exact` and `pattern`".to_owned());
        };
        if !path.starts_with('/') {
            return Err(format!("path `{path}` has to start with `/`"));
        }
        let named =
            |value: &Option<String>| value.as_deref().is_some_and(|text| !text.trim().is_empty());
        match (self.public, named(&self.object), named(&self.action)) {
            (true, _, _) if self.object.is_some() || self.action.is_some() => {
                Err("a public route has no `object` and `action`".to_owned())
            }
            (true, _, _) | (false, true, true) => Ok(()),
            _ => Err("needs `public: true`, or both `object` and `action`".to_owned()),
        }
    }
}

impl RouteMatch {
    /// Whether the route is for `method` on the normalised `path`.
    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        if !self.methods.is_empty() && !self.methods.iter().any(|own| own == method) {
            return false;
        }
        if let Some(exact) = &self.exact {
            return exact == path;
        }
        if let Some(prefix) = &self.prefix {
            let prefix = prefix.trim_end_matches('/');
            return path
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        self.pattern
            .as_deref()
            .is_some_and(|pattern| pattern_matches(pattern, path))
    }
}

fn pattern_matches(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/').peekable();
    let mut segments = path.split('/');
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return true,
            (Some("**"), _) if wanted.peek().is_none() => return true,
            (Some(want), Some(segment)) => {
                let any = want == "*" || (want.starts_with('{') && want.ends_with('}'));
                if !(want == segment || any && !segment.is_empty()) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        let prefix = |path: &str| RouteMatch {
            prefix: Some(path.to_owned()),
            ..RouteMatch::default()
        };
        let pattern = |path: &str| RouteMatch {
            pattern: Some(path.to_owned()),
            ..RouteMatch::default()
        };
        let cases = [
            (prefix("/nodes"), "/nodes", true),
            (prefix("/nodes"), "/nodes/1", true),
            (prefix("/nodes/"), "/nodes/1", true),
            (prefix("/nodes"), "/nodesfoo", false),
            (prefix("/"), "/anything", true),
            (pattern("/nodes/{id}"), "/nodes/1", true),
            (pattern("/nodes/{id}"), "/nodes", false),
            (pattern("/nodes/*/boot"), "/nodes/1/boot", true),
            (pattern("/nodes/*/boot"), "/nodes/1/2/boot", false),
            (pattern("/nodes/**"), "/nodes/1/2", true),
            (pattern("/nodes/**"), "/nodes", true),
            (pattern("/nodes/**"), "/nodesfoo", false),
        ];
        for (route, path, expected) in cases {
            assert_eq!(route.matches("GET", path), expected, "{route:?} {path}");
        }
    }
}

/// Which paths a route is for: their first segments, and whether more may follow.
#[derive(Debug)]
pub(super) struct PathRule {
    pub(super) segments: Vec<SegmentRule>,
    /// Whether the path may go on, by any number of segments.
    pub(super) open: bool,
    /// The names of segments, and their positions from 0.
    names: Vec<(Box<str>, usize)>,
}

/// Which segments are accepted in one place.
#[derive(Debug)]
pub(super) enum SegmentRule {
    Literal(Box<str>),
    Any,
}

impl PathRule {
    /// Most segments; look-ups go as deep, by recursion.
    pub(super) const SEGMENTS: usize = 64;

    pub(super) fn exact(path: &str) -> Result<Self, String> {
        Self::literal(path, false)
    }

    pub(super) fn prefix(path: &str) -> Result<Self, String> {
        Self::literal(path, true)
    }

    pub(super) fn pattern(path: &str) -> Result<Self, String> {
        let mut rule = Self {
            segments: Vec::new(),
            open: false,
            names: Vec::new(),
        };
        let mut texts = segments(path)?.into_iter().peekable();
        while let Some(text) = texts.next() {
            let is_last = texts.peek().is_none();
            match text {
                "**" if is_last => rule.open = true,
                "**" => return Err(format!("path `{path}`: `**` has to be the last segment")),
                "*" => {
                    // One segment, and as the last one those that follow.
                    rule.segments.push(SegmentRule::Any);
                    rule.open = is_last;
                }
                _ => rule
                    .push(text)
                    .map_err(|message| format!("path `{path}` {message}"))?,
            }
        }
        Ok(rule)
    }

    /// The position of the segment with this name, from 0.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let found = self.names.iter().find(|(own, _)| **own == *name);
        found.map(|(_, position)| *position)
    }

    /// The only path that it is for, if it is for one only.
    pub(super) fn only_path(&self) -> Option<String> {
        if self.open {
            return None;
        }
        let mut path = String::new();
        for segment in &self.segments {
            let SegmentRule::Literal(text) = segment else {
                return None;
            };
            path.push('/');
            path.push_str(text);
        }
        if path.is_empty() {
            path.push('/');
        }
        Some(path)
    }

    fn literal(path: &str, open: bool) -> Result<Self, String> {
        let mut rule = Self {
            segments: Vec::new(),
            open,
            names: Vec::new(),
        };
        for text in segments(path)? {
            rule.push_literal(text)
                .map_err(|message| format!("path `{path}` {message}"))?;
        }
        Ok(rule)
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        let braced = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = braced.or_else(|| text.strip_prefix(':')) else {
            if text.contains(['{', '}', '*']) {
                return Err(format!(
                    "has `{text}`: only a whole segment is a name in braces or `*`"
                ));
            }
            return self.push_literal(text).map_err(str::to_owned);
        };
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if name.is_empty() || !name.bytes().all(in_name) {
            return Err(format!(
                "has `{text}`: a name is made of letters, digits, `_` and `-`"
            ));
        }
        if self.position(name).is_some() {
            return Err(format!("has the name `{name}` twice"));
        }
        self.names.push((name.into(), self.segments.len()));
        self.segments.push(SegmentRule::Any);
        Ok(())
    }

    /// Refuses what no accepted path has: the rule would never match.
    fn push_literal(&mut self, text: &str) -> Result<(), &'static str> {
        let is_strange =
            |character: char| character.is_control() || matches!(character, '\\' | ';' | '?' | '#');
        match text {
            "" => return Err("has an empty segment"),
            "." | ".." => return Err("has a dot segment"),
            _ if text.contains('%') => {
                return Err("has a `%`: it is compared with decoded paths");
            }
            _ if text.contains(is_strange) => {
                return Err("has a character that is refused in every request");
            }
            _ => self.segments.push(SegmentRule::Literal(text.into())),
        }
        Ok(())
    }
}

/// The segments of a path that starts with `/` and may end with one.
fn segments(path: &str) -> Result<Vec<&str>, String> {
    if !path.starts_with('/') {
        return Err(format!("path `{path}` has to start with `/`"));
    }
    let inner = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = inner.split('/').skip(1).collect();
    if segments.len() > PathRule::SEGMENTS {
        return Err(format!(
            "path `{path}` has more than {} segments",
            PathRule::SEGMENTS
        ));
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths() {
        let cases = [
            (PathRule::exact("/"), Some("/")),
            (PathRule::exact("/a b/*"), Some("/a b/*")),
            (PathRule::exact("/a/"), Some("/a")),
            (PathRule::pattern("/a/b"), Some("/a/b")),
            (PathRule::pattern("/a/:b"), None),
            (PathRule::pattern("/a/**"), None),
            (PathRule::prefix("/a"), None),
        ];
        for (rule, expected) in cases {
            let rule = rule.unwrap();
            assert_eq!(rule.only_path().as_deref(), expected, "{rule:?}");
        }
    }

    #[test]
    fn what_could_never_match_is_refused() {
        let long = "/a".repeat(PathRule::SEGMENTS + 1);
        let literals = [
            "",
            "a",
            "//",
            "/a//b",
            "/a//",
            "/./a",
            "/a/..",
            "/a%20b",
            "/a;b",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a\0",
            long.as_str(),
        ];
        for path in literals {
            assert!(PathRule::exact(path).is_err(), "{path}");
            assert!(PathRule::prefix(path).is_err(), "{path}");
            assert!(PathRule::pattern(path).is_err(), "{path}");
        }
        let patterns = [
            "/a*", "/**/a", "/{a", "/a}", "/{a}b", "/{}", "/:", "/{a.b}", "/{a}/:a",
        ];
        for path in patterns {
            assert!(PathRule::pattern(path).is_err(), "{path}");
        }
    }

    #[test]
    fn names_have_positions() {
        let rule = PathRule::pattern("/racks/{rack}/*/:node-id/*").unwrap();
        assert_eq!(rule.position("rack"), Some(1));
        assert_eq!(rule.position("node-id"), Some(3));
        assert_eq!(rule.position("node"), None);
        assert!(rule.open && rule.segments.len() == 5);
    }
}

use regex::Regex;

use super::glob::{Glob, literal_start};
use super::ip::AddressBlock;
use super::path_pattern::{Part, PathPattern};
use super::template::{Piece, Style, cut, expand_stars, expression};
use super::{Function, FunctionError, PatternError, go_regex};

/// The longest pattern, in bytes.
const PATTERN_BYTES: usize = 1024;

/// The second argument of a predicate, compiled once.
#[derive(Clone, Debug)]
pub struct Pattern {
    function: Function,
    matcher: Matcher,
    prefix: Box<str>,
    exact: bool,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// `keyMatch` with a `*`: whatever starts with the prefix.
    Prefix,
    Path(PathPattern),
    Regex(Regex),
    /// `keyMatch4` with a name that repeats: for each group, the first one of the same name.
    Groups {
        regex: Regex,
        first: Box<[usize]>,
    },
    Addresses(AddressBlock),
    Glob(Glob),
}

impl Pattern {
    /// Compiles the pattern `text` of `function`.
    ///
    /// # Errors
    /// [`PatternError`]; always for the functions that return text.
    pub fn compile(function: Function, text: &str) -> Result<Self, PatternError> {
        check_length(text)?;
        match function {
            Function::KeyMatch => Ok(Self::key_match(text)),
            Function::KeyMatch2 => Self::path(function, text, Style::Colon),
            Function::KeyMatch3 | Function::KeyMatch4 | Function::KeyMatch5 => {
                Self::path(function, text, Style::Braces)
            }
            Function::RegexMatch => Self::regex(function, text, text),
            Function::IpMatch => match AddressBlock::parse(text) {
                Some(block) => Ok(Self::new(function, Matcher::Addresses(block), "", false)),
                None => Err(PatternError::Address {
                    pattern: text.to_owned(),
                }),
            },
            Function::GlobMatch => {
                let glob = Glob::parse(text).map_err(|message| PatternError::Glob {
                    pattern: text.to_owned(),
                    message,
                })?;
                let (prefix, exact) = literal_start(text);
                Ok(Self::new(function, Matcher::Glob(glob), prefix, exact))
            }
            Function::KeyGet | Function::KeyGet2 | Function::KeyGet3 => {
                Err(PatternError::NotAPredicate(function.name()))
            }
        }
    }

    /// Whether `key`, the function's first argument, matches.
    ///
    /// Allocates nothing, apart from what the engine for regular expressions keeps between calls
    /// and from the groups of a `keyMatch4` pattern that has a repeated name next to something
    /// other than `/`.
    ///
    /// # Errors
    /// [`FunctionError::NotAnAddress`], for `ipMatch`.
    pub fn matches(&self, key: &str) -> Result<bool, FunctionError> {
        let key = match self.function {
            Function::KeyMatch5 => key.split('?').next().unwrap_or_default(),
            _ => key,
        };
        Ok(match &self.matcher {
            Matcher::Prefix => key.starts_with(&*self.prefix),
            Matcher::Path(path) => path.matches(key),
            Matcher::Regex(regex) => regex.is_match(key),
            Matcher::Groups { regex, first } => equal_names(regex, first, key),
            Matcher::Addresses(block) => return block.contains(key),
            Matcher::Glob(glob) => glob.matches(key),
        })
    }

    /// What every matching key starts with, possibly nothing.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// The only matching key, when there is just one.
    pub fn exact(&self) -> Option<&str> {
        self.exact.then_some(&*self.prefix)
    }

    /// The regular expression, where the pattern is nothing else.
    pub(crate) fn expression(&self) -> Option<&str> {
        match &self.matcher {
            Matcher::Regex(regex) => Some(regex.as_str()),
            _ => None,
        }
    }

    /// The parts of a path that needs no regular expression; those of `keyMatch5` are for the key
    /// without its query. A `keyMatch` with a `*` has none: it takes newlines, which
    /// [`Part::Rest`] does not. A `keyMatch4` may ask for more than its parts say, which is that
    /// equal names stand for equal texts.
    pub fn parts(&self) -> Option<&[Part]> {
        match &self.matcher {
            Matcher::Path(path) => Some(path.parts()),
            _ => None,
        }
    }

    fn new(function: Function, matcher: Matcher, prefix: &str, exact: bool) -> Self {
        Self {
            function,
            matcher,
            prefix: prefix.into(),
            exact,
        }
    }

    fn key_match(text: &str) -> Self {
        match text.split_once('*') {
            Some((prefix, _)) => Self::new(Function::KeyMatch, Matcher::Prefix, prefix, false),
            None => Self::new(
                Function::KeyMatch,
                Matcher::Path(PathPattern::literal(text)),
                text,
                true,
            ),
        }
    }

    fn path(function: Function, text: &str, style: Style) -> Result<Self, PatternError> {
        let expanded = expand_stars(text);
        let pieces = cut(&expanded, style);
        let names: Vec<&str> = pieces.iter().filter_map(Piece::placeholder).collect();
        let first: Vec<usize> = match function {
            Function::KeyMatch4 => first_of_same(&names),
            _ => (0..names.len()).collect(),
        };
        if let Some(path) = PathPattern::new(&pieces, &first) {
            let prefix = path.prefix().to_owned();
            let exact = path.is_literal() && function != Function::KeyMatch5;
            return Ok(Self::new(function, Matcher::Path(path), &prefix, exact));
        }
        if function != Function::KeyMatch4 {
            return Self::regex(function, text, &expression(&pieces, "[^/]+"));
        }
        let expression = expression(&pieces, "([^/]+)");
        let regex = go_regex::compile(text, &expression)?;
        // Casbin panics when it comes to match.
        if regex.captures_len() != names.len() + 1 {
            return Err(PatternError::Groups {
                pattern: text.to_owned(),
            });
        }
        let (prefix, exact) = anchored_start(&expression);
        let matcher = if first.iter().enumerate().all(|(own, first)| own == *first) {
            Matcher::Regex(regex)
        } else {
            Matcher::Groups {
                regex,
                first: first.into(),
            }
        };
        Ok(Self::new(function, matcher, prefix, exact))
    }

    /// The Go regular expression `expression`, made from the pattern `text`.
    fn regex(function: Function, text: &str, expression: &str) -> Result<Self, PatternError> {
        let regex = go_regex::compile(text, expression)?;
        let (prefix, exact) = anchored_start(expression);
        let exact = exact && function != Function::KeyMatch5;
        Ok(Self::new(function, Matcher::Regex(regex), prefix, exact))
    }
}

/// Refuses a pattern that is too long.
pub(super) fn check_length(pattern: &str) -> Result<(), PatternError> {
    if pattern.len() <= PATTERN_BYTES {
        return Ok(());
    }
    Err(PatternError::TooLong {
        start: pattern.chars().take(64).collect(),
    })
}

/// For each name, the index of its first occurrence.
fn first_of_same(names: &[&str]) -> Vec<usize> {
    names
        .iter()
        .enumerate()
        .map(|(own, name)| names.iter().position(|other| other == name).unwrap_or(own))
        .collect()
}

fn equal_names(regex: &Regex, first: &[usize], key: &str) -> bool {
    let Some(captures) = regex.captures(key) else {
        return false;
    };
    let text = |group: usize| captures.get(group + 1).map_or("", |group| group.as_str());
    first
        .iter()
        .enumerate()
        .all(|(own, first)| text(own) == text(*first))
}

/// What every text starts with that a Go regular expression is found in, and whether that is the
/// only such text. Not more than what a look at the expression tells.
fn anchored_start(expression: &str) -> (&str, bool) {
    let operators = [
        '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
    ];
    let Some(text) = expression.strip_prefix('^') else {
        return ("", false);
    };
    if text.contains('|') {
        return ("", false);
    }
    let end = text.find(operators).unwrap_or(text.len());
    let (start, rest) = text.split_at_checked(end).unwrap_or_default();
    if rest.starts_with(['*', '?', '{']) {
        // The last character may be missing.
        let mut characters = start.chars();
        characters.next_back();
        return (characters.as_str(), false);
    }
    (start, rest == "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_index_is_told() {
        // Function, pattern, prefix, whether it is exact, number of parts.
        let cases = [
            (Function::KeyMatch, "/a/b", "/a/b", true, Some(1)),
            (Function::KeyMatch, "", "", true, Some(0)),
            (Function::KeyMatch, "/a/*/b", "/a/", false, None),
            (Function::KeyMatch2, "/a", "/a", true, Some(1)),
            (Function::KeyMatch2, "/a/:x/*", "/a/", false, Some(4)),
            (Function::KeyMatch2, "/a.b", "/a", false, Some(3)),
            (Function::KeyMatch2, "/a|/b", "", false, None),
            (Function::KeyMatch2, "/ab*", "/a", false, None),
            (Function::KeyMatch2, "/ab+", "/ab", false, None),
            (Function::KeyMatch3, "/a/{x}", "/a/", false, Some(2)),
            (Function::KeyMatch4, "/a/{x}/{x}", "/a/", false, Some(4)),
            (Function::KeyMatch4, "/a/{x}-{x}", "/a/", false, Some(2)),
            (Function::KeyMatch4, "/*/{x}/{x}", "/", false, None),
            (Function::KeyMatch5, "/a", "/a", false, Some(1)),
            (Function::RegexMatch, "^/a$", "/a", true, None),
            (Function::RegexMatch, "^/a", "/a", false, None),
            (Function::RegexMatch, "/a", "", false, None),
            (Function::RegexMatch, "^/a|b", "", false, None),
            (Function::RegexMatch, "(?i)^/a", "", false, None),
            (Function::IpMatch, "10.0.0.1", "", false, None),
            (Function::GlobMatch, "/a/**", "/a", false, None),
            (Function::GlobMatch, "/a", "/a", true, None),
        ];
        for (function, text, prefix, exact, parts) in cases {
            let pattern = Pattern::compile(function, text).unwrap();
            assert_eq!(pattern.literal_prefix(), prefix, "{function:?} {text}");
            assert_eq!(pattern.exact().is_some(), exact, "{function:?} {text}");
            let found = pattern.parts().map(<[Part]>::len);
            assert_eq!(found, parts, "{function:?} {text}");
        }
    }

    #[test]
    fn equal_names_of_key_match_4() {
        // Pattern, key, whether it matches.
        let cases = [
            ("/{a}/{b}/{a}", "/x/y/x", true),
            ("/{a}/{b}/{a}", "/x/y/z", false),
            ("/*/{a}/{a}", "/r/s/x/x", true),
            ("/*/{a}/{a}", "/r/s/x/y", false),
            ("/a?/{x}/{x}", "/a/y/y", true),
            ("/a?/{x}/{x}", "//y/z", false),
            ("/a?/{x}/{y}", "//y/z", true),
        ];
        for (text, key, expected) in cases {
            let pattern = Pattern::compile(Function::KeyMatch4, text).unwrap();
            assert_eq!(pattern.matches(key), Ok(expected), "{text} {key}");
        }
    }

    #[test]
    fn refused() {
        let long = "a".repeat(PATTERN_BYTES + 1);
        let cases = [
            (
                Function::KeyMatch,
                long.as_str(),
                "is longer than 1024 bytes",
            ),
            (
                Function::KeyMatch2,
                "/a[",
                "pattern `/a[` is not a usable regular expression: ",
            ),
            (
                Function::KeyMatch4,
                "/(a)/{b}",
                "pattern `/(a)/{b}` has groups",
            ),
            (
                Function::RegexMatch,
                "a(?=b)",
                "of this kind is not supported",
            ),
            (Function::IpMatch, "junk", "pattern `junk` is neither"),
            (
                Function::GlobMatch,
                "[",
                "pattern `[` is not a usable glob: missing",
            ),
            (Function::KeyGet, "/a", "`keyGet` has no compiled form"),
        ];
        for (function, text, message) in cases {
            let error = Pattern::compile(function, text).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

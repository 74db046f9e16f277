use super::glob_expand::{check, expand};

/// A shell pattern with the meaning that doublestar 4 gives it: `*` and `?` do not cross `/`,
/// `**/` and a final `/**` do.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    /// Without `{}`: the key has to match one of these.
    alternatives: Box<[Box<[Step]>]>,
}

#[derive(Clone, Debug)]
struct Step {
    token: Token,
    /// Whether the key may end before this step.
    may_end: bool,
}

#[derive(Clone, Debug)]
enum Token {
    Char(char),
    /// `?`.
    NoSlash,
    Class {
        negated: bool,
        ranges: Box<[(char, char)]>,
    },
    /// `*`, and a `**` that is not a whole segment.
    Star,
    /// `**/`, as many segments as it takes.
    Segments,
    /// `**` at the end.
    Anything,
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it; also where versions of doublestar disagree, or it depends on the
    /// way doublestar goes through alternatives.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        check(pattern)?;
        let alternatives = expand(pattern)?;
        Ok(Self {
            alternatives: alternatives
                .iter()
                .map(|alternative| steps(alternative))
                .collect(),
        })
    }

    /// Whether the whole of `key` matches.
    pub(super) fn matches(&self, key: &str) -> bool {
        self.alternatives.iter().any(|steps| run(steps, key))
    }
}

/// What every key that matches `pattern` starts with, and whether it is the only one.
pub(super) fn literal_start(pattern: &str) -> (&str, bool) {
    let Some((start, rest)) = pattern
        .find(['*', '?', '[', '{', '\\'])
        .and_then(|end| pattern.split_at_checked(end))
    else {
        return (pattern, true);
    };
    // `/a/**` matches `/a`.
    match start.strip_suffix('/') {
        Some(directory) if rest.starts_with("**") => (directory, false),
        _ => (start, false),
    }
}

/// Doublestar's algorithm: only the last `*` and the last `**/` are ever tried again.
fn run(steps: &[Step], key: &str) -> bool {
    let mut step = 0;
    let mut at = 0;
    let mut star: Option<(usize, usize)> = None;
    let mut segments: Option<(usize, usize)> = None;
    while let Some(character) = char_at(key, at) {
        match steps.get(step).map(|step| &step.token) {
            Some(Token::Anything) => return true,
            Some(Token::Star) => {
                step += 1;
                star = Some((step, at));
                continue;
            }
            Some(Token::Segments) => {
                step += 1;
                segments = Some((step, at));
                star = None;
                continue;
            }
            Some(token) if token.takes(character) => {
                step += 1;
                at += character.len_utf8();
                continue;
            }
            _ => {}
        }
        if let Some((after, from)) = star
            && let Some(taken) = char_at(key, from).filter(|taken| *taken != '/')
        {
            step = after;
            at = from + taken.len_utf8();
            star = Some((step, at));
            continue;
        }
        if let Some((after, from)) = segments
            && let Some(slash) = key.get(from..).and_then(|rest| rest.find('/'))
        {
            step = after;
            at = from + slash + 1;
            segments = Some((step, at));
            continue;
        }
        return false;
    }
    steps.get(step).is_none_or(|step| step.may_end)
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Token::Char(own) => *own == character,
            Token::NoSlash => character != '/',
            // A class may well take a `/`.
            Token::Class { negated, ranges } => {
                let within = |(low, high): &(char, char)| (*low..=*high).contains(&character);
                ranges.iter().any(within) != *negated
            }
            Token::Star | Token::Segments | Token::Anything => false,
        }
    }
}

fn char_at(key: &str, at: usize) -> Option<char> {
    key.get(at..)?.chars().next()
}

/// The steps of a pattern without `{}` that has passed [`check`].
fn steps(pattern: &str) -> Box<[Step]> {
    let mut steps = Vec::new();
    let mut rest = pattern;
    let mut segment_start = true;
    while let Some(character) = rest.chars().next() {
        let may_end = matches!(rest, "*" | "**" | "/**");
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        let (token, after) = match character {
            '*' => star(after, segment_start),
            '?' => (Token::NoSlash, after),
            '[' => class(after),
            '\\' => {
                let mut escaped = after.chars();
                let character = escaped.next().unwrap_or('\\');
                (Token::Char(character), escaped.as_str())
            }
            _ => (Token::Char(character), after),
        };
        segment_start = matches!(token, Token::Char('/') | Token::Segments);
        steps.push(Step { token, may_end });
        rest = after;
    }
    steps.into()
}

/// The step for a `*` followed by `after`.
fn star(after: &str, segment_start: bool) -> (Token, &str) {
    let Some(after_both) = after.strip_prefix('*') else {
        return (Token::Star, after);
    };
    if segment_start {
        if after_both.is_empty() {
            return (Token::Anything, after_both);
        }
        if let Some(after_slash) = after_both.strip_prefix('/') {
            return (Token::Segments, after_slash);
        }
    }
    (Token::Star, after_both)
}

/// The class whose `[` stands before `rest`.
fn class(rest: &str) -> (Token, &str) {
    let positive = rest.strip_prefix(['^', '!']);
    let mut characters = positive.unwrap_or(rest).chars();
    let mut ranges = Vec::new();
    let mut last = None;
    while let Some(character) = characters.next().filter(|character| *character != ']') {
        let follows = characters.as_str();
        if let Some(low) = last
            && character == '-'
            && !follows.is_empty()
            && !follows.starts_with(']')
        {
            ranges.push((low, unescaped(characters.next(), &mut characters)));
            last = None;
            continue;
        }
        let character = unescaped(Some(character), &mut characters);
        ranges.push((character, character));
        last = Some(character);
    }
    let token = Token::Class {
        negated: positive.is_some(),
        ranges: ranges.into(),
    };
    (token, characters.as_str())
}

fn unescaped(character: Option<char>, rest: &mut std::str::Chars<'_>) -> char {
    match character {
        Some('\\') | None => rest.next().unwrap_or('\\'),
        Some(character) => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_doublestar_does() {
        // Pattern, keys that match, keys that do not.
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("", &[""], &["a"]),
            ("*", &["", "a", "\u{e9}\n"], &["/", "a/"]),
            ("a*", &["a", "abc"], &["a/", "ba"]),
            ("*a*b", &["ab", "xaxb", "aabb"], &["ba", "a/b"]),
            ("a**", &["a", "ab"], &["a/b"]),
            ("**", &["", "a", "a/b", "/"], &[]),
            ("**/a", &["a", "b/a", "b/c/a", "/a"], &["ba", "a/b"]),
            ("**a", &["a", "ba"], &["b/a"]),
            ("/**", &["", "/", "/a", "/a/b"], &["a"]),
            ("a/**", &["a", "a/", "a/b/c"], &["ab", "b"]),
            (
                "a/**/b",
                &["a/b", "a/x/b", "a/x/y/b", "a//b"],
                &["ab", "a/xb"],
            ),
            ("a/**/b/**/c", &["a/b/c", "a/b/b/x/c"], &["a/c", "a/b"]),
            (
                "**/x*/y",
                &["x/y", "a/x1/y", "x/x/y", "x/z/x/y"],
                &["x/z/y"],
            ),
            ("a?c", &["abc", "a\u{e9}c"], &["a/c", "ac"]),
            ("[a-c]", &["a", "c"], &["d", "", "aa"]),
            ("[^a-c]", &["d", "/"], &["b", ""]),
            ("[!a]", &["b"], &["a"]),
            (r"[a\-c\]]", &["a", "-", "c", "]"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[a-c-e]", &["b", "-", "e"], &["d"]),
            ("[c-a]", &["c"], &["b", "a"]),
            (r"\*\?", &["*?"], &["ab"]),
            ("{a,b/c}d", &["ad", "b/cd"], &["bd", "d"]),
            ("{a,b{1,2}}", &["a", "b1", "b2"], &["b", "b12"]),
            ("{a}", &["a"], &["{a}"]),
            (r"{a\,b,c}", &["a,b", "c"], &["a"]),
            ("/{a,b}/**", &["/a", "/b/c/d"], &["/c"]),
            ("*.{js,ts}", &["x.js", ".ts"], &["x.j", "a/x.js"]),
            // A `*` that the key has no text left for is only forgiven at the end.
            ("a*/**", &["ab", "ab/c", "a/b"], &["a"]),
            ("***", &["a"], &[""]),
        ];
        for (pattern, matching, other) in cases {
            let glob = Glob::parse(pattern).unwrap();
            for key in *matching {
                assert!(glob.matches(key), "{pattern} {key:?}");
                let (start, _) = literal_start(pattern);
                assert!(key.starts_with(start), "{pattern} {key:?}");
            }
            for key in *other {
                assert!(!glob.matches(key), "{pattern} {key:?}");
            }
        }
    }

    #[test]
    fn literal_starts() {
        assert_eq!(literal_start("/a/b"), ("/a/b", true));
        assert_eq!(literal_start("/a/*"), ("/a/", false));
        assert_eq!(literal_start("/a/**"), ("/a", false));
        assert_eq!(literal_start("/a/**/b"), ("/a", false));
        assert_eq!(literal_start("{a,b}"), ("", false));
    }

    #[test]
    fn takes_no_longer_than_it_has_to() {
        let glob = Glob::parse(&"**/*a".repeat(60)).unwrap();
        assert!(!glob.matches(&"a/".repeat(20_000)));
    }
}

use super::go_repeat::counted;
use super::template::Piece;

/// One piece of a path pattern, in the order of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Exactly this text.
    Literal(Box<str>),
    /// `.`: any one character but a newline.
    AnyChar,
    /// A placeholder, `[^/]+`: one or more characters other than `/`.
    Segment,
    /// `.*`: any run of characters other than newlines.
    Rest,
}

/// How many names may repeat in one pattern.
const SLOTS: usize = 8;
/// Positions that a search looks ahead, at most; literals are shorter.
const AHEAD: usize = 64;
/// Parts that a search goes through, at most: one bit each, and one for the end.
const SEARCHED: usize = 63;

/// A path pattern that is matched without a regular expression.
#[derive(Clone, Debug)]
pub(super) struct PathPattern {
    parts: Box<[Part]>,
    /// Where the part of the same index keeps what it stands for, to be compared; empty when no
    /// name repeats.
    slots: Box<[Option<usize>]>,
}

impl PathPattern {
    /// The pattern of `pieces`, or `None` when it needs a regular expression. `first` has, for
    /// each placeholder, the index of the one it must be equal to: its own for most.
    pub(super) fn new(pieces: &[Piece<'_>], first: &[usize]) -> Option<Self> {
        let mut builder = Builder::default();
        let mut names = Vec::new();
        let mut placeholders = 0;
        for piece in pieces {
            match piece {
                Piece::Text(text) => builder.text(text)?,
                Piece::Placeholder(_) => {
                    let slot = slot(first, placeholders, &mut names);
                    builder.part(Part::Segment, slot);
                    placeholders += 1;
                }
            }
        }
        builder.end_literal();
        let (parts, slots): (Vec<Part>, Vec<Option<usize>>) = builder.parts.into_iter().unzip();
        let last_bound = slots.iter().rposition(Option::is_some);
        let searched = (0..parts.len()).find(|index| !is_forced(&parts, *index));
        if let Some(searched) = searched {
            let tail = parts.get(searched..)?;
            let is_long = |part: &Part| matches!(part, Part::Literal(text) if text.len() >= AHEAD);
            // What a placeholder stands for is only certain before the search begins.
            if tail.len() > SEARCHED
                || tail.iter().any(is_long)
                || last_bound.is_some_and(|bound| bound >= searched)
            {
                return None;
            }
        }
        if names.len() > SLOTS {
            return None;
        }
        Some(Self {
            parts: parts.into(),
            slots: match last_bound {
                Some(_) => slots.into(),
                None => Box::default(),
            },
        })
    }

    /// The pattern that only `text` matches.
    pub(super) fn literal(text: &str) -> Self {
        let part = (!text.is_empty()).then(|| Part::Literal(text.into()));
        Self {
            parts: part.into_iter().collect(),
            slots: Box::default(),
        }
    }

    /// The parts; literals are never empty and never next to each other.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What every matching key starts with.
    pub(super) fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether the prefix is the only matching key.
    pub(super) fn is_literal(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Literal(_)))
    }

    /// Whether the whole of `key` matches. Linear in the key, whatever the pattern.
    pub(super) fn matches(&self, key: &str) -> bool {
        let mut bound: [Option<&str>; SLOTS] = [None; SLOTS];
        let mut rest = key;
        for (index, part) in self.parts.iter().enumerate() {
            if !is_forced(&self.parts, index) {
                return search(self.parts.get(index..).unwrap_or_default(), rest);
            }
            match part {
                Part::Literal(text) => match rest.strip_prefix(&**text) {
                    Some(after) => rest = after,
                    None => return false,
                },
                Part::AnyChar => {
                    let mut characters = rest.chars();
                    if characters.next().is_none_or(|character| character == '\n') {
                        return false;
                    }
                    rest = characters.as_str();
                }
                Part::Segment => {
                    // What follows is a `/` or the end, so that it takes all it can.
                    let end = rest.find('/').unwrap_or(rest.len());
                    let Some((segment, after)) = rest.split_at_checked(end) else {
                        return false;
                    };
                    if segment.is_empty() {
                        return false;
                    }
                    if let Some(slot) = self.slots.get(index).copied().flatten()
                        && let Some(bound) = bound.get_mut(slot)
                        && *bound.get_or_insert(segment) != segment
                    {
                        return false;
                    }
                    rest = after;
                }
                Part::Rest => return !rest.contains('\n'),
            }
        }
        rest.is_empty()
    }
}

/// Whether the part at `index` has only one way to match, once those before it have matched.
fn is_forced(parts: &[Part], index: usize) -> bool {
    match (parts.get(index), parts.get(index + 1)) {
        (Some(Part::Segment), Some(Part::Literal(text))) => text.starts_with('/'),
        (Some(Part::Segment | Part::Rest), Some(_)) => false,
        _ => true,
    }
}

/// Whether `parts` match the whole of `key`, by going through all ways at once: a set of parts
/// that the text before each position leads to.
fn search(parts: &[Part], key: &str) -> bool {
    let mut reached = Reached([0; AHEAD]);
    reached.add(0, 1);
    for (position, character) in key.char_indices() {
        let mut open = reached.take(position);
        let next = position + character.len_utf8();
        while open != 0 {
            let index = open.trailing_zeros();
            open &= open - 1;
            match parts.get(index as usize) {
                Some(Part::Literal(text)) => {
                    let here = key.get(position..).unwrap_or_default();
                    if here.starts_with(&**text) {
                        reached.add(position + text.len(), 2u64 << index);
                    }
                }
                Some(Part::AnyChar) if character != '\n' => reached.add(next, 2u64 << index),
                Some(Part::Segment) if character != '/' => reached.add(next, 3u64 << index),
                Some(Part::Rest) => {
                    open |= 2u64 << index;
                    if character != '\n' {
                        reached.add(next, 1u64 << index);
                    }
                }
                _ => {}
            }
        }
    }
    let mut open = reached.take(key.len());
    while open != 0 {
        let index = open.trailing_zeros();
        open &= open - 1;
        match parts.get(index as usize) {
            None => return true,
            Some(Part::Rest) => open |= 2u64 << index,
            Some(_) => {}
        }
    }
    false
}

/// Sets of parts by position, for the positions from the current one on.
struct Reached([u64; AHEAD]);

impl Reached {
    fn add(&mut self, position: usize, parts: u64) {
        if let Some(set) = self.0.get_mut(position % AHEAD) {
            *set |= parts;
        }
    }

    fn take(&mut self, position: usize) -> u64 {
        self.0.get_mut(position % AHEAD).map_or(0, std::mem::take)
    }
}

fn slot(first: &[usize], placeholder: usize, names: &mut Vec<usize>) -> Option<usize> {
    let name = first.get(placeholder)?;
    if first.iter().filter(|other| *other == name).count() < 2 {
        return None;
    }
    let known = names.iter().position(|known| known == name);
    if known.is_none() {
        names.push(*name);
    }
    Some(known.unwrap_or(names.len() - 1))
}

#[derive(Default)]
struct Builder {
    parts: Vec<(Part, Option<usize>)>,
    literal: String,
}

impl Builder {
    fn part(&mut self, part: Part, slot: Option<usize>) {
        self.end_literal();
        self.parts.push((part, slot));
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            let text = std::mem::take(&mut self.literal);
            self.parts.push((Part::Literal(text.into()), None));
        }
    }

    /// Adds a regular expression, unless it is more than these parts can say.
    fn text(&mut self, expression: &str) -> Option<()> {
        let mut rest = expression;
        loop {
            if let Some(after) = rest.strip_prefix(".*") {
                self.part(Part::Rest, None);
                rest = after;
                continue;
            }
            if let Some(after) = rest.strip_prefix("[^/]+") {
                self.part(Part::Segment, None);
                rest = after;
                continue;
            }
            let mut characters = rest.chars();
            let Some(character) = characters.next() else {
                return Some(());
            };
            match character {
                '.' => self.part(Part::AnyChar, None),
                '\\' => self
                    .literal
                    .push(characters.next().filter(char::is_ascii_punctuation)?),
                '{' if counted(rest).is_some() => return None,
                // Operators; one that follows a part recognized before changes that part, and
                // there is nothing it could be but an operator.
                '*' | '+' | '?' | '(' | ')' | '|' | '[' | '^' | '$' => return None,
                _ => self.literal.push(character),
            }
            rest = characters.as_str();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::go_regex;
    use super::super::template::{Style, cut, expand_stars, expression};
    use super::*;

    fn compile(pattern: &str, style: Style) -> (Option<PathPattern>, String) {
        let text = expand_stars(pattern);
        let pieces = cut(&text, style);
        let own: Vec<usize> = (0..pieces.len()).collect();
        (
            PathPattern::new(&pieces, &own),
            expression(&pieces, "[^/]+"),
        )
    }

    #[test]
    fn equal_to_the_regular_expression() {
        let mut keys = vec![String::new()];
        for start in 0..341 {
            for letter in ["a", "/", "\n", "\u{e9}"] {
                keys.push(format!("{}{letter}", keys[start]));
            }
        }
        for key in [
            "aa/aa/aa",
            "/a/\u{e9}a/a",
            "a.a/a\n/aa",
            "/a//a/aa/a",
            "aaaaaaaa/",
        ] {
            keys.push(key.to_owned());
        }
        for pattern in [
            "",
            "a",
            "/a",
            ".",
            "..",
            "/*",
            "/*/a",
            "/*a",
            ".*a.*",
            ".*.*",
            "{x}",
            "{x}a",
            "a{x}",
            "{x}/{y}",
            "{x}/a",
            "{x}.a",
            "{x}.{y}",
            "{x}aa",
            "/{x}/*",
            "{x}/*a",
            "/*/{x}",
            "/.a",
            "{x}[^/]+",
            "[^/]+a[^/]+",
            ".*{x}.*",
            ".*.{x}",
            "a.*/{x}a",
            "{x}.*{y}",
            "\u{e9}{x}.",
            "{x}\n",
            "{x}.a/a",
            ".*a/.*a",
            "{}",
            "a{2",
            "\\.\\*",
        ] {
            let (path, expression) = compile(pattern, Style::ShortBraces);
            let path = path.unwrap();
            let regex = go_regex::compile(pattern, &expression).unwrap();
            for key in &keys {
                assert_eq!(
                    path.matches(key),
                    regex.is_match(key),
                    "{pattern:?} {key:?}"
                );
            }
        }
    }

    #[test]
    fn leaves_the_rest_to_regular_expressions() {
        for pattern in [
            "/a*",
            "/a+",
            "/a?",
            "/a|/b",
            "(/a)",
            "/[ab]",
            "/a{2}",
            "/:x/.{2,}",
            "/:x/*?",
            "/:x/?",
            "\\d",
            "\\",
            "^",
            "/a$b",
            ".+",
            ".{3}",
            ".*?",
            "[^/]+?",
            "[^/]+{2}",
            "[^/]*",
        ] {
            assert!(compile(pattern, Style::Colon).0.is_none(), "{pattern}");
        }
        let needs_none = |pattern: &str| compile(pattern, Style::ShortBraces).0.is_some();
        assert!(!needs_none(&format!("{{x}}{}", "a".repeat(AHEAD))));
        assert!(needs_none(&format!("{{x}}/{}", "a".repeat(AHEAD))));
        assert!(needs_none(&"/.{x}".repeat(22)));
        assert!(!needs_none(&".*{x}a".repeat(22)));
    }

    #[test]
    fn parts_are_merged() {
        let (path, _) = compile("/a\\.b/{x}/*", Style::Braces);
        let path = path.unwrap();
        let expected = [
            Part::Literal("/a.b/".into()),
            Part::Segment,
            Part::Literal("/".into()),
            Part::Rest,
        ];
        assert_eq!(path.parts(), expected);
        assert_eq!(path.prefix(), "/a.b/");
        assert!(!path.is_literal());
        assert!(PathPattern::literal("").is_literal());
        assert!(PathPattern::literal("").matches(""));
        assert!(!PathPattern::literal("a").matches("ab"));
    }

    #[test]
    fn equal_names() {
        let text = "/{a}/{b}/{a}";
        let pieces = cut(text, Style::Braces);
        let path = PathPattern::new(&pieces, &[0, 1, 0]).unwrap();
        assert!(path.matches("/x/y/x"));
        assert!(path.matches("/x/x/x"));
        assert!(!path.matches("/x/y/y"));
        let pieces = cut("/.*/{a}/{a}", Style::Braces);
        assert!(PathPattern::new(&pieces, &[0, 0]).is_none());
    }
}

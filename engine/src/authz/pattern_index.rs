use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::ops::ControlFlow;

use hashbrown::{DefaultHashBuilder, HashMap};

use regex::{RegexSet, RegexSetBuilder};

use super::functions::{Function, Part, Pattern};

/// Fewer patterns than this are tried one after the other.
const FEW: usize = 8;
/// Longer paths are looked at by their literal start alone.
const SEGMENTS: usize = 32;
/// The most that the regular expressions of one set may compile to.
const SET_BYTES: usize = 32 * 1024 * 1024;

/// Finds the rows whose pattern may match a key, few of them wrongly: the pattern decides.
#[derive(Debug)]
pub(super) struct PatternIndex {
    /// Patterns that match one key.
    exact: HashMap<Box<str>, Vec<u32>>,
    /// Patterns of whole path segments, by which of them are literal.
    shapes: Vec<Shape>,
    /// The others, by what their keys start with.
    starts: HashMap<Box<str>, Vec<u32>>,
    /// The lengths of those starts.
    lengths: Vec<usize>,
    /// Regular expressions that may match anything, as one.
    set: Option<ExpressionSet>,
    hasher: DefaultHashBuilder,
    cuts_query: bool,
}

/// Many regular expressions, tried in one pass over the key.
#[derive(Debug)]
struct ExpressionSet {
    set: RegexSet,
    /// The row of each.
    rows: Vec<u32>,
}

/// Path patterns with the same number of segments of which the same ones are literal.
#[derive(Debug)]
struct Shape {
    segments: usize,
    /// Whether anything may follow the segments.
    open: bool,
    /// One bit for each literal segment.
    literal: u32,
    /// Rows by a digest of the literal segments.
    rows: HashMap<u64, Vec<u32>>,
}

impl PatternIndex {
    /// An index of `rows`; `None` when they are too few to be worth one.
    pub(super) fn new<'p>(
        function: Function,
        rows: &[u32],
        pattern: impl Fn(u32) -> Option<&'p Pattern>,
    ) -> Option<Self> {
        if rows.len() <= FEW {
            return None;
        }
        let mut index = Self {
            exact: HashMap::new(),
            shapes: Vec::new(),
            starts: HashMap::new(),
            lengths: Vec::new(),
            set: None,
            hasher: DefaultHashBuilder::default(),
            cuts_query: function == Function::KeyMatch5,
        };
        for row in rows {
            let own = pattern(*row)?;
            index.insert(*row, own);
        }
        index.join_expressions(&pattern);
        index.lengths.sort_unstable();
        Some(index)
    }

    /// Calls `row` with every row whose pattern may match `key`.
    pub(super) fn candidates<E>(
        &self,
        key: &str,
        mut row: impl FnMut(u32) -> ControlFlow<E>,
    ) -> ControlFlow<E> {
        let key = match self.cuts_query {
            true => key.split('?').next().unwrap_or_default(),
            false => key,
        };
        if !self.exact.is_empty()
            && let Some(rows) = self.exact.get(key)
        {
            rows.iter().try_for_each(|own| row(*own))?;
        }
        if !self.shapes.is_empty() {
            let mut segments = [""; SEGMENTS];
            let mut count = 0;
            for segment in key.split('/') {
                if let Some(place) = segments.get_mut(count) {
                    *place = segment;
                }
                count += 1;
            }
            for shape in &self.shapes {
                let fits = match shape.open {
                    // What follows begins with its own segment.
                    true => count > shape.segments,
                    false => count == shape.segments,
                };
                if !fits {
                    continue;
                }
                let digest = self.digest(shape.literal, &segments);
                if let Some(rows) = shape.rows.get(&digest) {
                    rows.iter().try_for_each(|own| row(*own))?;
                }
            }
        }
        // The one look-up that allocates: a mark for each expression.
        if let Some(own) = &self.set {
            let matches = own.set.matches(key);
            let rows = matches.iter().filter_map(|at| own.rows.get(at));
            rows.copied().try_for_each(&mut row)?;
        }
        for length in &self.lengths {
            let Some(start) = key.as_bytes().get(..*length) else {
                break;
            };
            // A start that cuts a character in two is none.
            let rows = str::from_utf8(start)
                .ok()
                .and_then(|start| self.starts.get(start));
            if let Some(rows) = rows {
                rows.iter().try_for_each(|own| row(*own))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn insert(&mut self, row: u32, pattern: &Pattern) {
        if let Some(key) = pattern.exact() {
            self.exact.entry(key.into()).or_default().push(row);
            return;
        }
        if let Some(segments) = pattern.parts().and_then(whole_segments) {
            let mut literal = 0_u32;
            let mut texts = [""; SEGMENTS];
            for (index, segment) in segments.texts.iter().enumerate() {
                if let (Some(text), Some(place)) = (segment, texts.get_mut(index)) {
                    literal |= 1 << index;
                    *place = text;
                }
            }
            let digest = self.digest(literal, &texts);
            let (count, open) = (segments.texts.len(), segments.open);
            let found = self
                .shapes
                .iter()
                .position(|own| (own.segments, own.open, own.literal) == (count, open, literal));
            let at = found.unwrap_or_else(|| {
                self.shapes.push(Shape {
                    segments: count,
                    open,
                    literal,
                    rows: HashMap::new(),
                });
                self.shapes.len() - 1
            });
            if let Some(shape) = self.shapes.get_mut(at) {
                shape.rows.entry(digest).or_default().push(row);
            }
            return;
        }
        let start = pattern.literal_prefix();
        if !self.lengths.contains(&start.len()) {
            self.lengths.push(start.len());
        }
        self.starts.entry(start.into()).or_default().push(row);
    }

    /// Makes one set of the expressions that no start tells apart. One that becomes too large
    /// stays a list.
    fn join_expressions<'p>(&mut self, pattern: &impl Fn(u32) -> Option<&'p Pattern>) {
        let Some(list) = self.starts.get("").filter(|rows| rows.len() > FEW) else {
            return;
        };
        let (mut expressions, mut rows, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for row in list {
            match pattern(*row).and_then(Pattern::expression) {
                Some(expression) => {
                    expressions.push(expression);
                    rows.push(*row);
                }
                None => others.push(*row),
            }
        }
        let set = RegexSetBuilder::new(expressions)
            .size_limit(SET_BYTES)
            .build();
        if let Ok(set) = set {
            self.set = Some(ExpressionSet { set, rows });
            if others.is_empty() {
                self.starts.remove("");
                self.lengths.retain(|length| *length > 0);
            } else {
                self.starts.insert("".into(), others);
            }
        }
    }

    fn digest(&self, literal: u32, segments: &[&str; SEGMENTS]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let mut left = literal;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            segments.get(index).hash(&mut hasher);
            left &= left - 1;
        }
        hasher.finish()
    }
}

/// A pattern of whole path segments.
pub(super) struct Whole<'p> {
    /// `None` is a placeholder.
    pub(super) texts: Vec<Option<&'p str>>,
    /// Whether anything may follow the segments, beginning with a `/`.
    pub(super) open: bool,
}

/// The segments of a pattern whose placeholders are whole ones, and whose `/*`, if any, is last.
pub(super) fn whole_segments(parts: &[Part]) -> Option<Whole<'_>> {
    let mut texts: Vec<Option<&str>> = vec![Some("")];
    // Whether the last segment has text or a placeholder already.
    let mut begun = false;
    let mut parts = parts.iter().peekable();
    let mut open = false;
    while let Some(part) = parts.next() {
        match part {
            Part::Literal(text) => {
                let mut pieces = text.split('/');
                let first = pieces.next().unwrap_or_default();
                if !first.is_empty() {
                    if begun {
                        return None;
                    }
                    *texts.last_mut()? = Some(first);
                    begun = true;
                }
                for piece in pieces {
                    texts.push(Some(piece));
                    begun = !piece.is_empty();
                }
            }
            Part::Segment => {
                if begun {
                    return None;
                }
                *texts.last_mut()? = None;
                begun = true;
            }
            Part::Rest => {
                if begun || parts.peek().is_some() {
                    return None;
                }
                texts.pop();
                open = true;
            }
            Part::AnyChar => return None,
        }
    }
    (texts.len() < SEGMENTS).then_some(Whole { texts, open })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row whose pattern matches is among the candidates.
    #[test]
    fn misses_nothing() {
        let texts = [
            "/a",
            "/a/:x",
            "/a/:x/b",
            "/:x/b",
            "/a/*",
            "/*",
            "/a/b*",
            "/a.b",
            "/a/:x.json",
            "",
            "/",
            "/a/",
            "/:x",
            "/:x/:y/*",
            "/a//b",
            "*",
            "/a|/b",
            "/é/:x",
            "/a/:x:y",
            "b$",
            "^/[a-z]/",
            "(a|b)/",
            "[0-9]",
            "x.j",
            "^$",
            ".",
            "y/x",
            "/a$",
        ];
        let keys = [
            "/a",
            "/a/1",
            "/a/1/b",
            "/z/b",
            "/a/",
            "/",
            "",
            "/a/b/c/d",
            "/axb",
            "/a/x.json",
            "/a//b",
            "/é/1",
            "/b",
            "a",
            "//",
            "/z/y/x/w",
            "/a/1?x/y",
        ];
        for function in [
            Function::KeyMatch,
            Function::KeyMatch2,
            Function::KeyMatch3,
            Function::KeyMatch5,
            Function::RegexMatch,
        ] {
            let patterns: Vec<Pattern> = texts
                .iter()
                .filter_map(|text| Pattern::compile(function, text).ok())
                .collect();
            let rows: Vec<u32> = (0..patterns.len() as u32).collect();
            let index =
                PatternIndex::new(function, &rows, |row| patterns.get(row as usize)).unwrap();
            for key in keys {
                let mut found = Vec::new();
                let _ = index.candidates(key, |row| {
                    found.push(row);
                    ControlFlow::<()>::Continue(())
                });
                for (pattern, row) in patterns.iter().zip(0..) {
                    if pattern.matches(key) == Ok(true) {
                        assert!(found.contains(&row), "{function:?} {pattern:?} {key}");
                    }
                }
            }
        }
    }
}

use std::borrow::Cow;
use std::sync::Arc;

use super::path_rule::PathRule;

/// A text in which segments of the request's path are put.
#[derive(Debug, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Arc<str>),
    /// The segment of the path with this position, from 0.
    Segment(usize),
}

impl Template {
    /// Takes `{name}` for the segment that `path` calls so.
    pub(super) fn parse(text: &str, path: &PathRule) -> Result<Self, String> {
        let unbalanced = || format!("`{text}` has a `{{` without `}}`, or the other way round");
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(unbalanced)?;
            let index = path
                .position(name)
                .ok_or_else(|| format!("`{text}`: the path has no segment named `{name}`"))?;
            push_text(&mut parts, before).ok_or_else(unbalanced)?;
            parts.push(Part::Segment(index));
            rest = after;
        }
        push_text(&mut parts, rest).ok_or_else(unbalanced)?;
        Ok(Self { parts })
    }

    /// The text for a normalised path that the route matches.
    pub(super) fn fill<'t>(&'t self, path: &'t str) -> Cow<'t, str> {
        let mut texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => &**text,
            // The first of the pieces is what is before the leading `/`.
            Part::Segment(index) => path.split('/').nth(index + 1).unwrap_or_default(),
        });
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut filled = [first, second].concat();
                texts.for_each(|text| filled.push_str(text));
                Cow::Owned(filled)
            }
        }
    }
}

impl Template {
    /// [`Template::fill`], without copying where nothing is put in.
    pub(super) fn fill_shared(&self, path: &str) -> Arc<str> {
        match self.parts.as_slice() {
            [Part::Text(only)] => Arc::clone(only),
            _ => self.fill(path).into(),
        }
    }
}

/// `None` for a brace that belongs to no name.
fn push_text(parts: &mut Vec<Part>, text: &str) -> Option<()> {
    if text.contains('}') {
        return None;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        let path = PathRule::pattern("/racks/{rack}/nodes/:node/**").unwrap();
        let cases = [
            ("metadata:nodes", "metadata:nodes"),
            ("{node}", "n 1"),
            ("node:{rack}/{node}!", "node:r1/n 1!"),
            ("{rack}{rack}", "r1r1"),
            ("", ""),
        ];
        for (text, expected) in cases {
            let template = Template::parse(text, &path).unwrap();
            assert_eq!(template.fill("/racks/r1/nodes/n 1/boot"), expected);
        }
        for text in ["{id}", "{}", "{node", "node}", "{node}}", "}{node}"] {
            assert!(Template::parse(text, &path).is_err(), "{text}");
        }
    }
}

/// A piece of a path pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'p> {
    /// What stays a regular expression.
    Text(&'p str),
    /// A placeholder's name.
    Placeholder(&'p str),
}

/// How placeholders are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `:[^/]+`.
    Colon,
    /// `\{[^/]+\}`: `{a}{b}` is one placeholder.
    Braces,
    /// `\{[^/]+?\}`: `{a}{b}` is two.
    ShortBraces,
}

/// First step of every path function: `/*` becomes `/.*`.
pub(super) fn expand_stars(pattern: &str) -> String {
    pattern.replace("/*", "/.*")
}

/// Cuts `text` at its placeholders, as replacing the expression of `style` would.
pub(super) fn cut(text: &str, style: Style) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(found) = next(rest, style) {
        if let Some(before) = rest.get(..found.start).filter(|text| !text.is_empty()) {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Placeholder(found.name));
        rest = rest.get(found.end..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The Go regular expression of the whole, with `placeholder` for each placeholder.
pub(super) fn expression(pieces: &[Piece<'_>], placeholder: &str) -> String {
    let mut expression = String::from("^");
    for piece in pieces {
        match piece {
            Piece::Text(text) => expression.push_str(text),
            Piece::Placeholder(_) => expression.push_str(placeholder),
        }
    }
    expression.push('$');
    expression
}

impl<'p> Piece<'p> {
    /// The name, when it is a placeholder.
    pub(super) fn placeholder(&self) -> Option<&'p str> {
        match *self {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name),
        }
    }
}

struct Found<'t> {
    start: usize,
    end: usize,
    name: &'t str,
}

fn next(text: &str, style: Style) -> Option<Found<'_>> {
    match style {
        Style::Colon => text
            .match_indices(':')
            .find_map(|(start, _)| colon(text, start)),
        Style::Braces | Style::ShortBraces => text
            .match_indices('{')
            .find_map(|(start, _)| braces(text, start, style)),
    }
}

fn colon(text: &str, start: usize) -> Option<Found<'_>> {
    let name = segment(text.get(start + 1..)?);
    (!name.is_empty()).then(|| Found {
        start,
        end: start + 1 + name.len(),
        name,
    })
}

fn braces(text: &str, start: usize, style: Style) -> Option<Found<'_>> {
    let inside = segment(text.get(start + 1..)?);
    // The name has at least one character, which may itself be a `}`.
    let first = inside.chars().next()?.len_utf8();
    let tail = inside.get(first..)?;
    let close = match style {
        Style::ShortBraces => tail.find('}'),
        _ => tail.rfind('}'),
    };
    let length = first + close?;
    Some(Found {
        start,
        end: start + 1 + length + 1,
        name: inside.get(..length)?,
    })
}

fn segment(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_where_casbin_replaces() {
        let cases = [
            (Style::Colon, "/a/:id/:x.json", "^/a/<id>/<x.json>$"),
            (Style::Colon, "/a/:/b:", "^/a/:/b:$"),
            (Style::Colon, "/a::b/*", "^/a<:b>/.*$"),
            (Style::Braces, "/{a}/{b}", "^/<a>/<b>$"),
            (Style::Braces, "/{a}-{b}/c", "^/<a}-{b>/c$"),
            (Style::ShortBraces, "/{a}-{b}/c", "^/<a>-<b>/c$"),
            (Style::Braces, "/{}/{}}", "^/{}/<}>$"),
            (Style::ShortBraces, "/{}}x}", "^/<}>x}$"),
            (Style::Braces, "{a/b}{\u{e9}}", "^{a/b}<\u{e9}>$"),
            (Style::Braces, "", "^$"),
        ];
        for (style, pattern, expected) in cases {
            let text = expand_stars(pattern);
            let pieces = cut(&text, style);
            let shown: String = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => (*text).to_owned(),
                    Piece::Placeholder(name) => format!("<{name}>"),
                })
                .collect();
            assert_eq!(format!("^{shown}$"), expected, "{pattern}");
        }
        let pieces = cut("/:a/b", Style::Colon);
        assert_eq!(expression(&pieces, "([^/]+)"), "^/([^/]+)/b$");
    }
}

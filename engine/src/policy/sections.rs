use super::{Location, PolicyError, Source};

const MODEL_BYTES: usize = 64 * 1024;

/// The sections of a model and the letter of their keys.
const SECTIONS: [(&str, char); 5] = [
    ("request_definition", 'r'),
    ("policy_definition", 'p'),
    ("role_definition", 'g'),
    ("policy_effect", 'e'),
    ("matchers", 'm'),
];

/// `key = value` in a section.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) section: &'static str,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) key_at: Location,
    /// Where the value begins.
    pub(super) at: Location,
    /// Where each line of a continued value begins: how many characters of the value are before
    /// it, and its place.
    lines: Vec<(usize, Location)>,
}

impl Entry {
    /// Where the value's character is that has so many before it.
    pub(super) fn at_character(&self, index: usize) -> Location {
        let (start, at) = self
            .lines
            .iter()
            .rev()
            .find(|(start, _)| *start <= index)
            .map_or((0, &self.at), |(start, at)| (*start, at));
        Location {
            column: at.column + (index - start),
            ..at.clone()
        }
    }
}

/// Reads Casbin's configuration format: sections, `key = value`, comments from `#` or `;` to the
/// end of the line, and values continued by a `\` at its end.
pub(super) fn sections(source: Source<'_>) -> Result<Vec<Entry>, PolicyError> {
    if source.text.len() > MODEL_BYTES {
        return Err(PolicyError::TooLarge {
            name: source.name.to_owned(),
            limit: "64 KiB",
        });
    }
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let mut section = None;
    let mut found: Vec<Entry> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, raw)) = lines.next() {
        let (line, column) = content(raw);
        if line.is_empty() {
            continue;
        }
        let at = |column: usize| Location {
            source: source.name.to_owned(),
            line: index + 1,
            column,
        };
        let syntax = |message: String| PolicyError::Syntax {
            at: at(column),
            message,
        };
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = match SECTIONS.iter().find(|(known, _)| *known == name) {
                Some(known) => Some(known),
                None if name == "constraint_definition" => {
                    return Err(PolicyError::Unsupported {
                        at: at(column),
                        message: "constraints are not supported".to_owned(),
                    });
                }
                None => return Err(syntax(format!("unknown section `{name}`"))),
            };
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('[')) else {
            return Err(syntax(format!(
                "expected `[section]` or `key = value`, found `{line}`"
            )));
        };
        let before = column + key.chars().count() + 1;
        let lead = value.chars().take_while(|own| own.is_whitespace()).count();
        let (key, value) = (key.trim(), value.trim());
        let Some((section, letter)) = section else {
            return Err(syntax(format!("`{key}` is outside of any section")));
        };
        if !key.starts_with(*letter) || !key.chars().skip(1).all(|own| own.is_ascii_digit()) {
            return Err(syntax(format!(
                "`{key}` is not a key of section `{section}`: expected `{letter}`"
            )));
        }
        if found
            .iter()
            .any(|entry| entry.section == *section && entry.key == key)
        {
            return Err(syntax(format!(
                "`{key}` is defined twice in section `{section}`"
            )));
        }
        let mut entry = Entry {
            section,
            key: key.to_owned(),
            value: String::new(),
            key_at: at(column),
            at: at(before + lead),
            lines: vec![(0, at(before + lead))],
        };
        let mut part = value;
        while let Some(start) = part.strip_suffix('\\') {
            let start = start.trim_end();
            entry.value.push_str(start);
            entry.value.push(' ');
            let Some((index, raw)) = lines.next() else {
                return Err(syntax("`\\` at the end of the model".to_owned()));
            };
            // Casbin would join the comment to the value.
            let (line, column) = content(raw);
            let comment =
                raw.contains(['#', ';']) && (line.is_empty() || raw.trim_end().ends_with('\\'));
            let at = Location {
                source: source.name.to_owned(),
                line: index + 1,
                column,
            };
            if comment {
                return Err(PolicyError::Syntax {
                    at,
                    message: "a comment inside a continued value".to_owned(),
                });
            }
            entry.lines.push((entry.value.chars().count(), at));
            part = line;
        }
        entry.value.push_str(part);
        if entry.value.trim().is_empty() {
            return Err(PolicyError::Syntax {
                at: entry.at,
                message: format!("`{key}` has no value"),
            });
        }
        found.push(entry);
    }
    Ok(found)
}

/// A line without comment and surrounding white space, and the column it begins in.
fn content(raw: &str) -> (&str, usize) {
    let line = raw.split(['#', ';']).next().unwrap_or_default();
    let lead = line.chars().take_while(|own| own.is_whitespace()).count();
    (line.trim(), lead + 1)
}

use crate::authz::functions::{Part, Pattern};

/// How many keys are made of one pattern.
const KEYS: usize = 4;
/// What `.` and `.*` stand for, one after the other.
const STAND_INS: [(&str, &str); 3] = [(".", ""), ("x", "x"), ("x", "x/y")];
/// What may follow a literal start.
const TAILS: [&str; 4] = ["x", "", "x/y", "/x"];
/// Pieces of regular expressions and globs, and texts that they match.
const ATOMS: [(&str, &str); 14] = [
    ("[^/]+", "x"),
    ("[^/]*", "x"),
    ("[0-9]+", "1"),
    ("[a-z]+", "x"),
    ("[A-Z]+", "X"),
    ("\\d+", "1"),
    ("\\w+", "x"),
    (".*", "x"),
    (".+", "x"),
    ("**", "x/y"),
    ("*", "x"),
    ("\\", ""),
    ("?", ""),
    ("+", ""),
];

/// Keys that `pattern`, written as `text`, matches: the only one, or a few that differ in what
/// its open parts stand for. None when no attempt matches, which only regular expressions and
/// globs with classes come to.
pub(super) fn matching_keys(pattern: &Pattern, text: &str) -> Vec<String> {
    if let Some(key) = pattern.exact() {
        return vec![key.to_owned()];
    }
    let parts = pattern.parts();
    let from_parts = parts
        .into_iter()
        .flat_map(|parts| STAND_INS.map(|(any, rest)| filled(parts, any, rest)));
    let prefix = pattern.literal_prefix();
    let from_prefix = TAILS.iter().map(|tail| format!("{prefix}{tail}"));
    // Before its `/`, a block of addresses has one of its addresses.
    let address = text.split('/').next().map(str::to_owned);
    let attempts = from_parts
        .chain(from_prefix)
        .chain(alternatives(text))
        .chain(address);
    let mut found: Vec<String> = Vec::new();
    for key in attempts {
        if found.len() < KEYS && !found.contains(&key) && pattern.matches(&key) == Ok(true) {
            found.push(key);
        }
    }
    found
}

fn filled(parts: &[Part], any: &str, rest: &str) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => &**text,
            Part::AnyChar => any,
            Part::Segment => "x",
            Part::Rest => rest,
        })
        .collect()
}

/// The alternatives of a simple regular expression or glob, with something for its atoms.
fn alternatives(text: &str) -> Vec<String> {
    let bare: String = text
        .chars()
        .filter(|own| !matches!(own, '(' | ')'))
        .collect();
    bare.split('|')
        .map(|alternative| {
            let alternative = alternative.trim_start_matches('^').trim_end_matches('$');
            let mut key = alternative.to_owned();
            for (atom, example) in ATOMS {
                key = key.replace(atom, example);
            }
            key
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::functions::Function;

    #[test]
    fn keys_of_patterns() {
        // Function, pattern, a key among those that are made.
        let cases = [
            (Function::KeyMatch, "/a", "/a"),
            (Function::KeyMatch, "/a/*", "/a/x/y"),
            (Function::KeyMatch, "/a/*", "/a/"),
            (Function::KeyMatch2, "/nodes/:id", "/nodes/x"),
            (Function::KeyMatch2, "/nodes/:id/*", "/nodes/x/x/y"),
            (Function::KeyMatch2, "/a.b", "/axb"),
            (Function::KeyMatch2, "/ab+", "/ab"),
            (Function::KeyMatch3, "/a/{x}-{y}", "/a/x"),
            (Function::KeyMatch4, "/a/{x}/{x}", "/a/x/x"),
            (Function::KeyMatch5, "/a", "/a"),
            (Function::RegexMatch, "^(read|write)$", "write"),
            (Function::RegexMatch, "^/v[0-9]+/.*$", "/v1/x"),
            (Function::RegexMatch, "GET", "GET"),
            (Function::RegexMatch, "^/a/[^/]+/b$", "/a/x/b"),
            (Function::IpMatch, "10.0.0.0/8", "10.0.0.0"),
            (Function::IpMatch, "::1", "::1"),
            (Function::GlobMatch, "/a/**", "/a/x"),
            (Function::GlobMatch, "/a/*.txt", "/a/x.txt"),
        ];
        for (function, text, key) in cases {
            let pattern = Pattern::compile(function, text).unwrap();
            let keys = matching_keys(&pattern, text);
            assert!(keys.iter().any(|own| own == key), "{text}: {keys:?}");
        }
    }
}

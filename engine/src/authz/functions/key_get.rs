use super::pattern::check_length;
use super::template::{Piece, Style, cut, expand_stars, expression};
use super::{Function, FunctionError, go_regex};

/// The text of `key` that `pattern` leaves open: what the first `*` stands for (`keyGet`), or the
/// placeholder called `name` (`keyGet2`, `keyGet3`). Empty when the key does not match, or the
/// pattern has no such placeholder.
///
/// The pattern is compiled anew each time.
///
/// # Errors
/// [`FunctionError::Pattern`]; [`FunctionError::Arguments`] for a name too many or too few;
/// [`FunctionError::NotAGetter`] for the functions that answer yes or no.
pub fn key_get(
    function: Function,
    key: &str,
    pattern: &str,
    name: Option<&str>,
) -> Result<String, FunctionError> {
    check_length(pattern)?;
    let text = match (function, name) {
        (Function::KeyGet, None) => after_star(key, pattern).to_owned(),
        (Function::KeyGet2, Some(name)) => captured(key, pattern, Style::Colon, "([^/]+)", name)?,
        (Function::KeyGet3, Some(name)) => {
            captured(key, pattern, Style::ShortBraces, "([^/]+?)", name)?
        }
        _ if function.is_predicate() => return Err(FunctionError::NotAGetter(function.name())),
        _ => {
            return Err(FunctionError::Arguments {
                function: function.name(),
                expected: function.arity(),
                found: 2 + usize::from(name.is_some()),
            });
        }
    };
    Ok(text)
}

fn after_star<'k>(key: &'k str, pattern: &str) -> &'k str {
    pattern
        .split_once('*')
        .and_then(|(prefix, _)| key.strip_prefix(prefix))
        .unwrap_or_default()
}

fn captured(
    key: &str,
    pattern: &str,
    style: Style,
    group: &str,
    name: &str,
) -> Result<String, FunctionError> {
    let text = expand_stars(pattern);
    let pieces = cut(&text, style);
    let regex = go_regex::compile(pattern, &expression(&pieces, group))?;
    let index = pieces
        .iter()
        .filter_map(Piece::placeholder)
        .position(|own| own == name);
    // Casbin counts groups, those that the pattern has besides its placeholders included.
    let group = regex
        .captures(key)
        .zip(index)
        .and_then(|(captures, index)| captures.get(index + 1));
    Ok(group.map_or_else(String::new, |group| group.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let cases = [
            (Function::KeyGet, "/a\n/b", "/a*x", None, "\n/b"),
            (Function::KeyGet, "/a", "/a*", None, ""),
            (Function::KeyGet, "/\u{e9}b", "/\u{e9}*", None, "b"),
            (Function::KeyGet2, "/a/b", "/(a)/:x", Some("x"), "a"),
            (Function::KeyGet2, "/a/b", "/:x/:x", Some("x"), "a"),
            (Function::KeyGet2, "/a/b\n", "/a/:x", Some("x"), "b\n"),
            (Function::KeyGet3, "/a-b", "/{x}-{y}", Some("y"), "b"),
            (Function::KeyGet3, "/a", "/{x}", Some(""), ""),
        ];
        for (function, key, pattern, name, expected) in cases {
            let found = key_get(function, key, pattern, name);
            assert_eq!(found, Ok(expected.to_owned()), "{key} {pattern}");
        }
    }

    #[test]
    fn mistakes() {
        let cases = [
            (
                Function::KeyGet,
                "",
                Some("x"),
                "takes 2 arguments, found 3",
            ),
            (Function::KeyGet2, "", None, "takes 3 arguments, found 2"),
            (Function::KeyMatch, "", None, "`keyMatch` returns no text"),
            (
                Function::KeyGet2,
                "/[",
                Some("x"),
                "pattern `/[` is not a usable",
            ),
        ];
        for (function, pattern, name, message) in cases {
            let error = key_get(function, "/", pattern, name).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

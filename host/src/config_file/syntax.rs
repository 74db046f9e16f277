use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::ConfigFileError;

/// How secrets reach the service.
const SECRET: &str = "a secret is never in this file: that of the OIDC client is taken from the \
                      environment variable `OIDC_CLIENT_SECRET`";

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// RFC 8259.
    Json,
    /// TOML 1.0.
    Toml,
}

impl Syntax {
    /// By the extension of a file's name: JSON unless it is `.toml`.
    pub(super) fn of(name: &str) -> Self {
        match Path::new(name).extension() {
            Some(extension) if extension.eq_ignore_ascii_case("toml") => Syntax::Toml,
            _ => Syntax::Json,
        }
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    /// [`ConfigFileError::Parse`].
    pub(super) fn parse<T: DeserializeOwned>(
        self,
        path: &str,
        text: &str,
    ) -> Result<T, ConfigFileError> {
        let failed = |(line, column), message: String| ConfigFileError::Parse {
            path: path.to_owned(),
            line,
            column,
            message: about_secrets(message),
        };
        match self {
            Syntax::Json => serde_json::from_str(text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                let message = error.to_string();
                let place = format!(" at line {line} column {column}");
                let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
                failed((line, column), message)
            }),
            // Its own display has the line of the file, which may have a secret.
            Syntax::Toml => toml::from_str(text)
                .map_err(|error| failed(place(text, error.span()), error.message().to_owned())),
        }
    }
}

/// Line and column, from 1.
fn place(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let start = span.map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or(text);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (
        before.matches('\n').count().saturating_add(1),
        last.chars().count().saturating_add(1),
    )
}

fn about_secrets(message: String) -> String {
    let named = ["oidc_client_secret", "oidcClientSecret", "client_secret"];
    let refused = named
        .iter()
        .any(|name| message.starts_with(&format!("unknown field `{name}`")));
    if refused {
        format!("{message}; {SECRET}")
    } else {
        message
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_extension_decides() {
        for (name, syntax) in [
            ("a.toml", Syntax::Toml),
            ("a/b.TOML", Syntax::Toml),
            ("a.json", Syntax::Json),
            ("toml", Syntax::Json),
            ("/dev/fd/63", Syntax::Json),
        ] {
            assert_eq!(Syntax::of(name), syntax, "{name}");
        }
    }

    #[test]
    fn places_count_from_one() {
        for (start, expected) in [(0, (1, 1)), (3, (1, 3)), (4, (2, 1)), (6, (2, 2))] {
            let place = place("aä\nöx\n", Some(start..start));
            assert_eq!(place, expected, "{start}");
        }
        assert_eq!(place("a", None), (1, 1));
        let error = Syntax::Toml.parse::<Value>("a.toml", "x = 1\ny = = 2\n");
        assert!(error.unwrap_err().to_string().starts_with("a.toml:2:"));
        let error = Syntax::Json.parse::<Value>("a", "{\n\"x\" 1}").unwrap_err();
        assert_eq!(error.to_string(), "a:2:5: expected `:`");
    }
}

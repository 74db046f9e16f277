use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(DatabaseUrl),
}

/// The URL of a database, which may hold a password and so is never printed whole.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl StoreLocation {
    /// The SQLite file in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        StoreLocation::Sqlite(folder.join("tokensmith.db"))
    }
}

impl DatabaseUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(StoreLocation::Sqlite(path.into())),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                match reqwest::Url::parse(text) {
                    Ok(_) => Ok(StoreLocation::Postgres(DatabaseUrl(text.to_owned()))),
                    Err(error) => Err(format!(
                        "`{}` is not a store: {error}",
                        without_password(text)
                    )),
                }
            }
            _ => Err(format!(
                "`{}` is not a store: expected `sqlite:PATH` or \
                 `postgres://USER@HOST/DATABASE`",
                without_password(text)
            )),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            StoreLocation::Postgres(url) => formatter.write_str(&without_password(&url.0)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&without_password(&self.0), formatter)
    }
}

/// The text with what stands between the first `:` of its user information and the last `@` left
/// out, and without its query, which may have a password too.
///
/// An `@` behind a `?` may be in the query or end a password that has the `?`: then all behind the
/// scheme is left out. So is what is not written as a URL and may have a password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://").filter(|(name, _)| is_scheme(name)) else {
        return if text.contains(['@', '=']) {
            "...".to_owned()
        } else {
            text.to_owned()
        };
    };
    let (rest, query) = match rest.find(['?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if query.contains('@') {
        return format!("{scheme}://...");
    }
    match rest.rsplit_once('@') {
        None => format!("{scheme}://{rest}"),
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
    }
}

fn is_scheme(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let shown = |text: &str| {
            text.parse::<StoreLocation>()
                .map(|location| location.to_string())
        };
        assert_eq!(shown("sqlite:a/b.db"), Ok("sqlite:a/b.db".to_owned()));
        assert_eq!(
            shown("postgres://ts:se@cr:et@db:5432/tokens?password=x"),
            Ok("postgres://ts@db:5432/tokens".to_owned())
        );
        for wrong in [
            "",
            "sqlite:",
            "redis:x",
            "postgres:x",
            "postgres://a:secret@:x/",
            "postgres:u:secret@h/d",
            "postgres:/u:secret@h/d",
            "//u:secret@h/d",
            "u:secret@h/d",
            "redis://u:secret@h",
            "host=h password=secret",
            "u:x://secret@h",
        ] {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains("is not a store"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for (text, expected) in [
            ("postgres://u:12?secret@h/d", "postgres://..."),
            ("postgres://u:12#secret@h/d", "postgres://..."),
            ("postgres://u:p@h/d?password=x@secret", "postgres://..."),
            ("postgres://h/d?user=u&password=secret", "postgres://h/d"),
            ("postgres://u:1@2/secret@h/d", "postgres://u@h/d"),
            ("postgres://h/d", "postgres://h/d"),
        ] {
            assert_eq!(without_password(text), expected);
        }
        let location: StoreLocation = "postgresql://u:secret@h/d".parse().unwrap();
        assert!(!format!("{location:?}").contains("secret"));
    }
}

use thiserror::Error;

/// Why a request path is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// Not an absolute path, or a `%` without two hexadecimal digits, or not UTF-8.
    #[error("malformed URL path")]
    Malformed,
    /// The authority is not a host, where routes depend on it.
    #[error("malformed host")]
    Host,
    /// Proxies, frameworks and file systems disagree about what this path names.
    #[error("ambiguous URL path")]
    Ambiguous,
}

/// The path of a request target in the one form that rules are written for: query cut off,
/// percent-decoded once, no trailing `/`.
///
/// # Errors
/// [`PathError::Ambiguous`] for encoded `/`, `\`, `%` or `.`, for `\`, `;`, `//`, `.` and `..`
/// segments and control characters: whatever a server behind could read as another path.
///
/// ```
/// use tokensmith_engine::decide::normalise_path;
/// assert_eq!(normalise_path("/a%20b/?q=1").unwrap(), "/a b");
/// assert!(normalise_path("/a/%2e%2e/b").is_err());
/// ```
pub fn normalise_path(target: &str) -> Result<String, PathError> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(PathError::Malformed);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            digit.ok_or(PathError::Malformed)
        };
        let value = (digit()? * 16 + digit()?) as u8;
        if matches!(value, b'/' | b'\\' | b'%' | b'.' | b';' | b'?' | b'#') {
            return Err(PathError::Ambiguous);
        }
        decoded.push(value);
    }
    let mut text = String::from_utf8(decoded).map_err(|_| PathError::Malformed)?;
    if text
        .chars()
        .any(|character| character.is_control() || matches!(character, '\\' | ';'))
    {
        return Err(PathError::Ambiguous);
    }
    let inner = text.strip_suffix('/').unwrap_or(&text);
    let mut segments = inner.split('/').skip(1);
    if segments.any(|segment| matches!(segment, "" | "." | "..")) || text.starts_with("//") {
        return Err(PathError::Ambiguous);
    }
    if text.len() > 1 && text.ends_with('/') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let cases: [(&str, Result<&str, PathError>); 21] = [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a/", Ok("/a")),
            ("/a?x=/../b", Ok("/a")),
            ("/a%20b", Ok("/a b")),
            ("/%C3%A9", Ok("/é")),
            ("/a.b/..c", Ok("/a.b/..c")),
            ("", Err(PathError::Malformed)),
            ("a", Err(PathError::Malformed)),
            ("*", Err(PathError::Malformed)),
            ("/%", Err(PathError::Malformed)),
            ("/%4", Err(PathError::Malformed)),
            ("/%+1", Err(PathError::Malformed)),
            ("/%C3%28", Err(PathError::Malformed)),
            ("//", Err(PathError::Ambiguous)),
            ("/a//b", Err(PathError::Ambiguous)),
            ("/a/../b", Err(PathError::Ambiguous)),
            ("/a%2fb", Err(PathError::Ambiguous)),
            ("/a%252fb", Err(PathError::Ambiguous)),
            ("/a;x=1", Err(PathError::Ambiguous)),
            ("/a%00", Err(PathError::Ambiguous)),
        ];
        for (target, expected) in cases {
            assert_eq!(
                normalise_path(target),
                expected.map(str::to_owned),
                "{target}"
            );
        }
    }
}

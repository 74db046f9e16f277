/// Whether two http(s) URIs name one target by RFC 9449 section 4.3: without query and fragment,
/// after the normalization of RFC 3986 section 6.2.2 and the scheme's default port. What is not
/// such a URI equals nothing.
pub(super) fn same_target(one: &str, other: &str) -> bool {
    match (normalise(one), normalise(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn normalise(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next()?;
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let authority = authority.to_ascii_lowercase();
    let authority = authority
        .strip_suffix(default_port)
        .or_else(|| authority.strip_suffix(':'))
        .unwrap_or(&authority);
    let mut normal = format!("{scheme}://{authority}");
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            // Anything outside ASCII has to be percent-encoded in a URI.
            normal.push(
                char::from(byte)
                    .is_ascii_graphic()
                    .then(|| char::from(byte))?,
            );
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        let decoded = char::from(u8::try_from(high * 16 + low).ok()?);
        if decoded.is_ascii_alphanumeric() || "-._~".contains(decoded) {
            normal.push(decoded);
        } else {
            normal.push_str(&format!("%{high:X}{low:X}"));
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_target() {
        for (one, other, same) in [
            ("https://a/b", "https://a/b", true),
            ("https://a/b?x=1#y", "https://a/b", true),
            ("HTTPS://A.example:443/b", "https://a.example/b", true),
            ("https://a.example:8443/b", "https://a.example/b", false),
            ("http://a:80", "http://a/", true),
            ("https://a:80/", "http://a/", false),
            ("https://a/%7eb%2fc", "https://a/~b%2Fc", true),
            ("https://a/B", "https://a/b", false),
            ("https://a/b/", "https://a/b", false),
            ("https://u@a/b", "https://a/b", false),
            ("https:///b", "https:///b", false),
            ("ftp://a/b", "ftp://a/b", false),
            ("/b", "/b", false),
            ("https://a/%zz", "https://a/%zz", false),
            ("https://a/\u{e9}", "https://a/\u{e9}", false),
            ("", "", false),
        ] {
            assert_eq!(same_target(one, other), same, "{one} {other}");
        }
    }
}

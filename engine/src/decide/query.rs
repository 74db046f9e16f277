use super::location::{Several, only};

/// Whether `name` may be a parameter's name: unreserved characters (RFC 3986 section 2.3), which
/// everyone reads alike.
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

/// The value of the parameter `name` of a request target, as it is written.
pub(super) fn find<'t>(target: &'t str, name: &str) -> Result<Option<&'t str>, Several> {
    let (_, query, _) = parts(target);
    let parameters = query.into_iter().flat_map(|query| query.split('&'));
    only(parameters.filter_map(|parameter| {
        let (own, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        is_called(own, name).then_some(value)
    }))
}

/// The target without the parameter `name`; all else stays byte for byte.
pub(super) fn without(target: &str, name: &str) -> String {
    let (path, query, fragment) = parts(target);
    let kept: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|parameter| {
            let own = parameter.split('=').next().unwrap_or_default();
            !is_called(own, name)
        })
        .collect();
    let mut rest = path.to_owned();
    if !kept.is_empty() {
        rest.push('?');
        rest.push_str(&kept.join("&"));
    }
    rest.push_str(fragment);
    rest
}

/// Path, query, and the fragment with its `#`, which no good target has.
fn parts(target: &str) -> (&str, Option<&str>, &str) {
    let end = target.find('#').unwrap_or(target.len());
    let (rest, fragment) = target.split_at_checked(end).unwrap_or((target, ""));
    match rest.split_once('?') {
        Some((path, query)) => (path, Some(query), fragment),
        None => (rest, None, fragment),
    }
}

/// Whether `raw`, decoded as forms are (`+` and `%XX`), is `name`: who is behind decodes it.
fn is_called(raw: &str, name: &str) -> bool {
    if !raw.contains(['%', '+']) {
        return raw == name;
    }
    let (mut raw, mut name) = (raw.bytes(), name.bytes());
    while let Some(byte) = raw.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(raw.next()?).to_digit(16);
                let Some(value) = digit().and_then(|high| Some(high * 16 + digit()?)) else {
                    return false;
                };
                u8::try_from(value).unwrap_or_default()
            }
            other => other,
        };
        if name.next() != Some(byte) {
            return false;
        }
    }
    name.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let cases = [
            ("/a", Ok(None)),
            ("/a?", Ok(None)),
            ("/a?t", Ok(None)),
            ("/a?t=", Ok(None)),
            ("/a?t=x", Ok(Some("x"))),
            ("/a?b=1&t=x=y&c", Ok(Some("x=y"))),
            ("/a?%74=x", Ok(Some("x"))),
            ("/a?t=x#t=y", Ok(Some("x"))),
            ("/a#?t=x", Ok(None)),
            ("/a?T=x&tt=y&%7=z&%zz=1&+t=2", Ok(None)),
            ("/a?t=x&t=y", Err(Several)),
            ("/a?t&%74=y", Err(Several)),
        ];
        for (target, expected) in cases {
            assert_eq!(find(target, "t"), expected, "{target}");
        }
    }

    #[test]
    fn removal() {
        let cases = [
            ("/a", "/a"),
            ("/a?t=x", "/a"),
            ("/a?t", "/a"),
            ("/a?t=x&t=y", "/a"),
            ("/a?t=x&b=%20+&&c", "/a?b=%20+&&c"),
            ("/a?b=1&t=x", "/a?b=1"),
            ("/a?b=1&%74=x&c=?t=1", "/a?b=1&c=?t=1"),
            ("/a?t=x#f", "/a#f"),
            ("/t=x?tt=t", "/t=x?tt=t"),
        ];
        for (target, expected) in cases {
            assert_eq!(without(target, "t"), expected, "{target}");
        }
    }

    #[test]
    fn names() {
        for (name, good) in [
            ("access_token", true),
            ("a-b.c~1", true),
            ("", false),
            ("a b", false),
            ("a%20", false),
            ("a+", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}

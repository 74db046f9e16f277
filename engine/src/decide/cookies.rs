use super::location::{COOKIE, Several, only};

/// The value of the cookie `name` (RFC 6265 section 4.2.1), as it is written. `headers` are those
/// of a request; cookies may be spread over several (RFC 9113 section 8.2.3).
pub(super) fn find<'r>(
    headers: &'r [(&'r str, &'r str)],
    name: &str,
) -> Result<Option<&'r str>, Several> {
    only(cookies(headers).filter_map(|cookie| {
        let (own, value) = cookie.split_once('=')?;
        (own.trim_end() == name).then(|| value.trim_start())
    }))
}

/// One `Cookie` header without the cookies that `is_cut` says by name; `None` when none is left.
pub(super) fn without(headers: &[(&str, &str)], is_cut: impl Fn(&str) -> bool) -> Option<String> {
    let kept: Vec<&str> = cookies(headers)
        .filter(|cookie| {
            let own = cookie.split('=').next().unwrap_or_default();
            !is_cut(own.trim_end())
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn cookies<'r>(headers: &'r [(&'r str, &'r str)]) -> impl Iterator<Item = &'r str> {
    headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(COOKIE))
        .flat_map(|(_, value)| value.split(';'))
        .map(str::trim)
        .filter(|cookie| !cookie.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers, the value, and the header without it.
    type Case<'c> = (
        &'c [&'c str],
        Result<Option<&'c str>, Several>,
        Option<&'c str>,
    );

    #[test]
    fn values_and_removal() {
        let cases: [Case<'_>; 9] = [
            (&[], Ok(None), None),
            (&["t=x"], Ok(Some("x")), None),
            (&["t="], Ok(None), None),
            (&["a=1; t=x=; b=2"], Ok(Some("x=")), Some("a=1; b=2")),
            (&["a=1", "t=x", "b"], Ok(Some("x")), Some("a=1; b")),
            (&["a=1;t = x"], Ok(Some("x")), Some("a=1")),
            (&["T=x; tt=t=y"], Ok(None), Some("T=x; tt=t=y")),
            (&["t=x; t=y; a=1"], Err(Several), Some("a=1")),
            (&["t=x", "t=x"], Err(Several), None),
        ];
        for (values, found, rest) in cases {
            let mut headers = vec![("x-t", "t=z")];
            headers.extend(values.iter().map(|value| ("Cookie", *value)));
            assert_eq!(find(&headers, "t"), found, "{values:?}");
            let left = without(&headers, |name| name == "t");
            assert_eq!(left.as_deref(), rest, "{values:?}");
        }
    }
}

/// Which hosts a route is for. Names are in lower case.
#[derive(Debug)]
pub(super) enum HostRule {
    Exact(Box<str>),
    /// Every host below a name, which is kept with the dot before it.
    Below(Box<str>),
}

impl HostRule {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (below, name) = match lower.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, lower.as_str()),
        };
        if host_of(name) != Some(name) {
            return Err(format!(
                "host `{text}` is neither a host without port nor `*.` and one"
            ));
        }
        Ok(if below {
            HostRule::Below(format!(".{name}").into())
        } else {
            HostRule::Exact(name.into())
        })
    }

    /// Whether it is for `host`, as [`host_of`] gives it.
    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            HostRule::Exact(name) => name.eq_ignore_ascii_case(host),
            HostRule::Below(suffix) => {
                let (host, suffix) = (host.as_bytes(), suffix.as_bytes());
                // At least one byte is before the dot.
                host.len() > suffix.len()
                    && host
                        .get(host.len() - suffix.len()..)
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
            }
        }
    }

    /// Whether it is for every host that `other` is for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, HostRule::Exact(name)) => self.matches(name),
            (HostRule::Exact(_), HostRule::Below(_)) => false,
            (HostRule::Below(own), HostRule::Below(narrower)) => narrower.ends_with(&**own),
        }
    }
}

/// The host of an authority: without its port, and without the final dot that makes no
/// difference to the name system. `None` if there is none, or what is there is not a host.
pub(in crate::decide) fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.split_once(']') {
        Some((address, port)) if address.starts_with('[') => {
            (authority.get(..=address.len())?, port)
        }
        Some(_) => return None,
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    let digits = port.strip_prefix(':').unwrap_or_default();
    if !(port.is_empty() || port.starts_with(':')) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let others: &[u8] = if host.starts_with('[') {
        b"[]:."
    } else {
        b"-._"
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_host = !host.split('.').any(str::is_empty)
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte));
    is_host.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let cases = [
            ("a.example.org", Some("a.example.org")),
            ("A.example.org:8443", Some("A.example.org")),
            ("a.example.org.", Some("a.example.org")),
            ("a.example.org.:80", Some("a.example.org")),
            ("a:", Some("a")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]")),
            ("", None),
            (":80", None),
            (".", None),
            ("a..", None),
            ("a..b", None),
            (".a", None),
            ("a:b", None),
            ("a:80:80", None),
            ("user@a", None),
            ("a]", None),
            ("[::1", None),
            ("[::1]80", None),
            ("a b", None),
            ("\u{e9}.example.org", None),
        ];
        for (authority, expected) in cases {
            assert_eq!(host_of(authority), expected, "{authority}");
        }
    }

    #[test]
    fn rules() {
        for text in ["", "*", "*.", "a.*", "*.*.a", "a:80", "a.", "a/b", "\u{e9}"] {
            assert!(HostRule::parse(text).is_err(), "{text}");
        }
        let below = HostRule::parse("*.Example.org").unwrap();
        assert!(below.matches("a.EXAMPLE.org") && below.matches("a.b.example.org"));
        assert!(!below.matches("example.org") && !below.matches("aexample.org"));
        assert!(!below.matches(".example.org"));
        let exact = HostRule::parse("a.example.org").unwrap();
        assert!(exact.matches("A.example.org") && !exact.matches("b.example.org"));
        let deeper = HostRule::parse("*.a.example.org").unwrap();
        assert!(below.covers(&exact) && below.covers(&deeper) && below.covers(&below));
        assert!(!exact.covers(&below) && !deeper.covers(&below) && !deeper.covers(&exact));
    }
}

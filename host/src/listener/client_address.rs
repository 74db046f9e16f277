use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, header};
use ipnet::IpNet;

/// The caller's address. It is `peer`, the other end of the connection, unless that is one of the
/// `trusted` proxies: then it is the last address in `X-Forwarded-For`, or in `Forwarded`
/// (RFC 7239) where there is no `X-Forwarded-For`, that is none of them, or the first one if all
/// are. Several lines of a header count as one list, in their order (RFC 9110 section 5.3). A proxy
/// that writes `Forwarded` has to take `X-Forwarded-For` of callers away.
///
/// Where what has to be looked at is malformed or names no address, it is `peer`. IPv4 addresses
/// that are written as IPv6 come out as IPv4.
///
/// ```
/// use axum::http::HeaderMap;
/// use tokensmith::listener::{client_address, parse_network};
/// let trusted = [parse_network("10.0.0.0/8").unwrap()];
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "198.51.100.9, 192.0.2.7, 10.0.0.2".parse().unwrap());
/// let proxy = [10, 0, 0, 1].into();
/// assert_eq!(client_address(proxy, &headers, &trusted).to_string(), "192.0.2.7");
/// let other = [203, 0, 113, 1].into();
/// assert_eq!(client_address(other, &headers, &trusted), other);
/// ```
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(&peer, trusted) {
        return peer;
    }
    named_by_proxies(headers, trusted).unwrap_or(peer)
}

fn named_by_proxies(headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut lines = headers.get_all("x-forwarded-for").iter().rev().peekable();
    if lines.peek().is_some() {
        // Taken as bytes: what the caller wrote before need not be text.
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let addresses = entries.map(|entry| parse_address(std::str::from_utf8(entry).ok()?));
        return last_untrusted(addresses, trusted);
    }
    // Each line by itself: a quotation that a caller leaves open does not reach into the next.
    let lines = headers.get_all(header::FORWARDED).iter().rev();
    last_untrusted(lines.flat_map(forwarded_by), trusted)
}

/// The addresses of one line of `Forwarded`, from the last on.
fn forwarded_by(line: &HeaderValue) -> Vec<Option<IpAddr>> {
    let elements = line
        .to_str()
        .ok()
        .and_then(|text| split_unquoted(text, ','));
    match elements {
        Some(elements) => elements.into_iter().rev().map(forwarded_for).collect(),
        None => vec![None],
    }
}

/// Takes the entries from the last on. What stands before the answer is the caller's to write,
/// so it is not looked at.
fn last_untrusted(
    entries: impl Iterator<Item = Option<IpAddr>>,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let mut first = None;
    for entry in entries {
        let address = entry?;
        if !is_trusted(&address, trusted) {
            return Some(address);
        }
        first = Some(address);
    }
    first
}

/// Whether one of the proxies has the address.
pub(super) fn is_trusted(address: &IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The address of the one `for` of an element (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_unquoted(element, ';')? {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
    }
    let value = found?;
    let node = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    parse_address(node)
}

/// An address, with a port or without; brackets around one of IPv6.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        address.ip()
    } else {
        let bracketed = text.strip_prefix('[')?.strip_suffix(']')?;
        bracketed.parse::<Ipv6Addr>().ok()?.into()
    };
    Some(address.to_canonical())
}

/// Splits at what is not inside of a quoted string (RFC 9110 section 5.6.4); none if one has no
/// end.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && character == '\\' {
            escaped = true;
        } else if character == '"' {
            quoted = !quoted;
        } else if character == separator && !quoted {
            parts.push(text.get(start..at)?);
            start = at.saturating_add(separator.len_utf8());
        }
    }
    if quoted {
        return None;
    }
    parts.push(text.get(start..)?);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;
    use crate::listener::parse_network;

    const PROXY: &str = "10.0.0.1";

    fn found(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| parse_network(text).unwrap());
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn x_forwarded_for_of_a_trusted_proxy() {
        for (value, address) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, 10.9.9.9", "192.0.2.7"),
            ("1.1.1.1,192.0.2.7 ,\t10.9.9.9", "192.0.2.7"),
            ("10.1.1.1, 10.9.9.9", "10.1.1.1"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711, 2001:db8:1::1", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, ::ffff:10.0.0.9", "192.0.2.7"),
            ("made up by the caller, 192.0.2.7", "192.0.2.7"),
            ("", PROXY),
            (",", PROXY),
            ("192.0.2.7,", PROXY),
            ("192.0.2.7, unknown", PROXY),
            ("192.0.2.7, 10.9.9", PROXY),
            ("192.0.2.7:99999", PROXY),
            ("[192.0.2.7]", PROXY),
            ("\u{e9}, 192.0.2.7", "192.0.2.7"),
            ("\u{e9}", PROXY),
        ] {
            assert_eq!(
                found(PROXY, &[("x-forwarded-for", value)]),
                address,
                "{value}"
            );
        }
    }

    #[test]
    fn forwarded_of_a_trusted_proxy() {
        for (value, address) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:4711\"", "192.0.2.7"),
            ("for=\"[2001:db8::7]\"", "2001:db8::7"),
            ("FOR=\"[2001:db8::7]:4711\";proto=https", "2001:db8::7"),
            ("proto=http; for=192.0.2.7; by=10.0.0.2", "192.0.2.7"),
            ("for=1.1.1.1, for=192.0.2.7, for=10.0.0.2", "192.0.2.7"),
            ("for=1.1.1.1;host=\"a,for=2.2.2.2\"", "1.1.1.1"),
            ("host=\"\\\",\";for=192.0.2.7", "192.0.2.7"),
            ("for=_hidden, for=192.0.2.7", "192.0.2.7"),
            ("for=unknown", PROXY),
            ("for=_hidden", PROXY),
            ("for=192.0.2.7:_port", PROXY),
            ("for=192.0.2.7;for=192.0.2.8", PROXY),
            ("proto=https", PROXY),
            ("for=\"192.0.2.7", PROXY),
            ("for=192.0.2.7\"", PROXY),
            ("for=192.0.2.7,", PROXY),
            ("for", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(found(PROXY, &[("forwarded", value)]), address, "{value}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let named = [("x-forwarded-for", "192.0.2.7")];
        assert_eq!(found("203.0.113.1", &named), "203.0.113.1");
        assert_eq!(found("::ffff:203.0.113.1", &named), "203.0.113.1");
        assert_eq!(found("::ffff:10.0.0.1", &named), "192.0.2.7");
        assert_eq!(found("2001:db8:1::5", &named), "192.0.2.7");
        assert_eq!(found("2001:db8:2::5", &named), "2001:db8:2::5");
        assert_eq!(found(PROXY, &[]), PROXY);
    }

    #[test]
    fn several_lines_are_one_list() {
        let x = |value| ("x-forwarded-for", value);
        let forwarded = |value| ("forwarded", value);
        for (headers, address) in [
            (vec![x("1.1.1.1"), x("192.0.2.7")], "192.0.2.7"),
            (vec![x("192.0.2.7"), x("10.0.0.2, 10.0.0.3")], "192.0.2.7"),
            (vec![x("\u{e9}"), x("192.0.2.7, 10.0.0.3")], "192.0.2.7"),
            (vec![x("10.0.0.2"), x("10.0.0.3")], "10.0.0.2"),
            (vec![x("192.0.2.7"), x("unknown")], PROXY),
            (
                vec![forwarded("for=1.1.1.1"), forwarded("for=192.0.2.7")],
                "192.0.2.7",
            ),
            (
                vec![forwarded("for=\"1.1.1.1"), forwarded("for=192.0.2.7")],
                "192.0.2.7",
            ),
            (
                vec![forwarded("for=192.0.2.7"), forwarded("for=10.0.0.2")],
                "192.0.2.7",
            ),
            (
                vec![forwarded("for=192.0.2.7"), forwarded("for=unknown")],
                PROXY,
            ),
            (vec![x("192.0.2.7"), forwarded("for=1.1.1.1")], "192.0.2.7"),
            (vec![forwarded("for=1.1.1.1"), x("192.0.2.7")], "192.0.2.7"),
            (vec![forwarded("for=1.1.1.1"), x("unknown")], PROXY),
        ] {
            assert_eq!(found(PROXY, &headers), address, "{headers:?}");
        }
    }
}

//! Header maps as the ABI serializes them: the number of pairs, the sizes of each name and value,
//! then each name and value with a zero byte after it; numbers are 32 bits, little-endian.

/// Names and values in order; a name may occur more than once.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Headers of text.
pub fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

/// The first value of `name`.
pub fn first<'h>(headers: &'h [(Vec<u8>, Vec<u8>)], name: &[u8]) -> Option<&'h [u8]> {
    headers
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

pub(super) fn serialize(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    if headers.is_empty() {
        return Vec::new();
    }
    let mut out = number(headers.len());
    for (name, value) in headers {
        out.extend(number(name.len()));
        out.extend(number(value.len()));
    }
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(part);
        out.push(0);
    }
    out
}

/// `None` when the sizes do not fit the bytes.
pub(super) fn parse(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let size = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let count = size(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut part = |length: usize| {
        let end = at.checked_add(length)?;
        let part = bytes.get(at..end)?.to_vec();
        at = end + 1;
        Some(part)
    };
    let mut headers = Vec::new();
    for index in 0..count {
        let (name, value) = (size(4 + index * 8)?, size(8 + index * 8)?);
        headers.push((part(name)?, part(value)?));
    }
    Some(headers)
}

fn number(value: usize) -> Vec<u8> {
    (value as u32).to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_serialized_is_parsed() {
        let map = headers(&[(":path", "/"), ("a", ""), ("a", "b")]);
        assert_eq!(parse(&serialize(&map)), Some(map.clone()));
        assert_eq!(first(&map, b"A"), Some(&b""[..]));
        assert_eq!(parse(&[]), Some(Vec::new()));
        let bytes = serialize(&map);
        assert!((1..bytes.len() - 1).all(|size| parse(&bytes[..size]).is_none()));
    }
}

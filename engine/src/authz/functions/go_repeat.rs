/// A counted repetition at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted<'r> {
    /// The least count; one too large to read is the largest there is.
    pub(super) least: u32,
    /// The largest count, if there is one.
    pub(super) most: Option<u32>,
    /// What follows.
    pub(super) after: &'r str,
}

/// The `{n}`, `{n,}` or `{n,m}` that `rest` starts with. Any other `{` stands for itself in Go.
pub(super) fn counted(rest: &str) -> Option<Counted<'_>> {
    let (least, rest) = count(rest.strip_prefix('{')?)?;
    if let Some(after) = rest.strip_prefix('}') {
        let most = Some(least);
        return Some(Counted { least, most, after });
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(after) = rest.strip_prefix('}') {
        let most = None;
        return Some(Counted { least, most, after });
    }
    let (most, rest) = count(rest)?;
    Some(Counted {
        least,
        most: Some(most),
        after: rest.strip_prefix('}')?,
    })
}

fn count(rest: &str) -> Option<(u32, &str)> {
    let end = rest.find(|digit: char| !digit.is_ascii_digit());
    let (digits, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_forms() {
        let cases = [
            ("{3}a", 3, Some(3), "a"),
            ("{0,}", 0, None, ""),
            ("{2,10}}", 2, Some(10), "}"),
            ("{99999999999}", u32::MAX, Some(u32::MAX), ""),
        ];
        for (text, least, most, after) in cases {
            assert_eq!(
                counted(text),
                Some(Counted { least, most, after }),
                "{text}"
            );
        }
        for text in [
            "", "{", "{}", "{,2}", "{a}", "{1", "{1,", "{1,2", "{01}", "{1,02}", "{ 1}",
        ] {
            assert_eq!(counted(text), None, "{text}");
        }
    }
}

use std::borrow::Cow;

/// A string of a payload: where it is in it, or itself where the payload has it escaped.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Within { start: usize, end: usize },
    Escaped(Box<str>),
}

impl Text {
    /// `text` as scanned from `payload`.
    pub(super) fn new(payload: &str, text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => {
                let start = (text.as_ptr() as usize).wrapping_sub(payload.as_ptr() as usize);
                let end = start.saturating_add(text.len());
                // Whatever was borrowed from elsewhere is kept as itself.
                match payload.get(start..end) {
                    Some(within) if within == text => Text::Within { start, end },
                    _ => Text::Escaped(text.into()),
                }
            }
            Cow::Owned(text) => Text::Escaped(text.into()),
        }
    }

    /// The string.
    pub(super) fn of<'p>(&'p self, payload: &'p str) -> &'p str {
        match self {
            Text::Within { start, end } => payload.get(*start..*end).unwrap_or_default(),
            Text::Escaped(text) => text,
        }
    }
}

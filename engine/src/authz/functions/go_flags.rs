/// Flags of Go's regular expressions, set by `(?imsU)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`.
    pub(super) fold_case: bool,
    /// `m`.
    pub(super) multi_line: bool,
    /// `s`.
    pub(super) dot_all: bool,
    /// `U`.
    pub(super) lazy: bool,
}

/// What a `(?` that is no named group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `(?i)`: the flags hold for the rest of the group around it.
    Here,
    /// `(?i:`: they hold for a group of their own.
    Group,
}

impl Flags {
    /// Reads what follows `(?`, to the `)` or `:`; the flags are `self` with those changed.
    ///
    /// # Errors
    /// Anything but flags.
    pub(super) fn changed(self, rest: &str) -> Result<(Self, Scope, &str), String> {
        let mut flags = self;
        let mut on = true;
        let mut seen = false;
        let mut characters = rest.chars();
        loop {
            match characters.next() {
                Some('i') => flags.fold_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('U') => flags.lazy = on,
                Some('-') if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                // After a `-` there has to be something to switch off.
                Some(')') if on || seen => return Ok((flags, Scope::Here, characters.as_str())),
                Some(':') if on || seen => return Ok((flags, Scope::Group, characters.as_str())),
                _ => return Err("a group of this kind is not supported".to_owned()),
            }
            seen = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let all = Flags {
            fold_case: true,
            multi_line: true,
            dot_all: true,
            lazy: true,
        };
        let none = Flags::default();
        assert_eq!(none.changed(":a"), Ok((none, Scope::Group, "a")));
        assert_eq!(none.changed(")a"), Ok((none, Scope::Here, "a")));
        assert_eq!(none.changed("imsU)"), Ok((all, Scope::Here, "")));
        assert_eq!(all.changed("-imsU:"), Ok((none, Scope::Group, "")));
        let only_i = Flags {
            fold_case: true,
            ..none
        };
        assert_eq!(all.changed("i-msU)"), Ok((only_i, Scope::Here, "")));
        for text in [
            "", "i", "x)", "-)", "i-:", "i--s)", "P<a>", "=a)", "'a'b)", "#)",
        ] {
            assert!(none.changed(text).is_err(), "{text}");
        }
    }
}

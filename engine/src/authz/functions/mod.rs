//! Casbin's built-in matcher functions, their patterns compiled once when a policy is loaded.

mod error;
mod glob;
mod glob_expand;
mod go_class;
mod go_flags;
mod go_regex;
mod go_repeat;
mod ip;
mod key_get;
mod path_pattern;
mod pattern;
mod template;
#[cfg(test)]
mod vectors;

pub use error::{FunctionError, PatternError};
pub use key_get::key_get;
pub use path_pattern::Part;
pub use pattern::Pattern;

/// A function that Casbin offers to every matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `keyMatch(key, pattern)`: equal, or equal up to the first `*` of the pattern.
    KeyMatch,
    /// `keyMatch2(key, pattern)`: a path with `:name` and `/*`.
    KeyMatch2,
    /// `keyMatch3(key, pattern)`: a path with `{name}` and `/*`.
    KeyMatch3,
    /// `keyMatch4(key, pattern)`: as `keyMatch3`; equal names stand for equal texts.
    KeyMatch4,
    /// `keyMatch5(key, pattern)`: as `keyMatch3`, for the key without its query.
    KeyMatch5,
    /// `regexMatch(key, pattern)`: a regular expression found anywhere in the key.
    RegexMatch,
    /// `ipMatch(key, pattern)`: an IP address equal to, or in the block of, the pattern.
    IpMatch,
    /// `globMatch(key, pattern)`: a shell pattern, `**` across `/`.
    GlobMatch,
    /// `keyGet(key, pattern)`: what the first `*` of the pattern stands for.
    KeyGet,
    /// `keyGet2(key, pattern, name)`: what `:name` stands for.
    KeyGet2,
    /// `keyGet3(key, pattern, name)`: what `{name}` stands for.
    KeyGet3,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 11] = [
        Self::KeyMatch,
        Self::KeyMatch2,
        Self::KeyMatch3,
        Self::KeyMatch4,
        Self::KeyMatch5,
        Self::RegexMatch,
        Self::IpMatch,
        Self::GlobMatch,
        Self::KeyGet,
        Self::KeyGet2,
        Self::KeyGet3,
    ];

    /// The function that matchers call by `name`; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|function| function.name() == name)
    }

    /// The name in matchers.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyMatch => "keyMatch",
            Self::KeyMatch2 => "keyMatch2",
            Self::KeyMatch3 => "keyMatch3",
            Self::KeyMatch4 => "keyMatch4",
            Self::KeyMatch5 => "keyMatch5",
            Self::RegexMatch => "regexMatch",
            Self::IpMatch => "ipMatch",
            Self::GlobMatch => "globMatch",
            Self::KeyGet => "keyGet",
            Self::KeyGet2 => "keyGet2",
            Self::KeyGet3 => "keyGet3",
        }
    }

    /// How many arguments it takes.
    pub fn arity(self) -> usize {
        match self {
            Self::KeyGet2 | Self::KeyGet3 => 3,
            _ => 2,
        }
    }

    /// Whether it answers yes or no; the others return text.
    pub fn is_predicate(self) -> bool {
        !matches!(self, Self::KeyGet | Self::KeyGet2 | Self::KeyGet3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for function in Function::ALL {
            assert_eq!(Function::from_name(function.name()), Some(function));
        }
        assert_eq!(Function::from_name("keymatch"), None);
        assert_eq!(Function::from_name("g"), None);
    }
}

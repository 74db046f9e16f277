use thiserror::Error;

/// Why a pattern was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// Longer than patterns may be.
    #[error("pattern starting with `{start}` is longer than 1024 bytes")]
    TooLong {
        /// Its first characters.
        start: String,
    },
    /// Not a regular expression of Go, or one that has no equal here.
    #[error("pattern `{pattern}` is not a usable regular expression: {message}")]
    Regex {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// The compiled regular expression is too large.
    #[error("pattern `{pattern}` compiles to more than 64 KiB")]
    RegexTooLarge {
        /// The pattern.
        pattern: String,
    },
    /// `keyMatch4` cannot tell groups of the pattern from those of its placeholders.
    #[error("pattern `{pattern}` has groups besides its placeholders")]
    Groups {
        /// The pattern.
        pattern: String,
    },
    /// Not an address, and not a block of them.
    #[error("pattern `{pattern}` is neither an IP address nor a CIDR block")]
    Address {
        /// The pattern.
        pattern: String,
    },
    /// Not a shell pattern, or one whose meaning depends on the version of Casbin.
    #[error("pattern `{pattern}` is not a usable glob: {message}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// The function returns text, and has no pattern to compile.
    #[error("function `{0}` has no compiled form")]
    NotAPredicate(&'static str),
}

/// Why a function has no result. Never a match.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FunctionError {
    /// `ipMatch` on a key that is no IP address.
    #[error("`{0}` is not an IP address")]
    NotAnAddress(String),
    /// The pattern is refused.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Not as many arguments as the function takes.
    #[error("function `{function}` takes {expected} arguments, found {found}")]
    Arguments {
        /// The function's name.
        function: &'static str,
        /// How many it takes.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// The function answers yes or no.
    #[error("function `{0}` returns no text")]
    NotAGetter(&'static str),
}

use std::fmt;

use thiserror::Error;

/// A place in a policy text; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The source's name.
    pub source: String,
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// Why a policy was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// The text does not have the form of a model or of rules.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Location,
        /// What was expected.
        message: String,
    },
    /// Casbin would accept it, this engine does not.
    #[error("{at}: {message}")]
    Unsupported {
        /// Where.
        at: Location,
        /// What is not supported.
        message: String,
    },
    /// A required section of the model is missing.
    #[error("{model}: missing required section `{section}`")]
    MissingSection {
        /// The model's name.
        model: String,
        /// The section.
        section: &'static str,
    },
    /// A compile option names what does not exist.
    #[error("`{field}`: {message}")]
    Option {
        /// The option.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// A size limit is exceeded.
    #[error("{name}: policy is larger than the limit of {limit}")]
    TooLarge {
        /// The source's name.
        name: String,
        /// The limit and its unit.
        limit: &'static str,
    },
}

impl PolicyError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            PolicyError::Syntax { .. } => "policy_syntax",
            PolicyError::Unsupported { .. } => "policy_unsupported",
            PolicyError::MissingSection { .. } => "policy_section_missing",
            PolicyError::TooLarge { .. } => "policy_too_large",
            PolicyError::Option { .. } => "policy_option",
        }
    }
}

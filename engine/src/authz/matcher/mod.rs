//! The language of Casbin matchers: what govaluate reads, as far as its meaning is one that
//! anybody could want.

mod ast;
mod date;
mod display;
mod lexer;
mod parser;

use thiserror::Error;

pub(crate) use ast::{Expr, Operator};

/// The longest matcher, in bytes.
const MATCHER_BYTES: usize = 16 * 1024;

/// Why a matcher was refused: because of its syntax, or because Casbin reads it as something that
/// it does not say.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("column {column}: {message}")]
pub(crate) struct MatcherError {
    /// Where, in characters from 1.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) message: String,
}

/// Parses a matcher of a model.
///
/// # Errors
/// [`MatcherError`].
pub(crate) fn parse(text: &str) -> Result<Expr, MatcherError> {
    parse_as(text, lexer::Source::Model)
}

/// Parses the value of a policy field that a matcher hands to `eval()`. Casbin prepares these
/// less than it does matchers: brackets do not become parentheses, and backslashes are dropped
/// from string literals; both are errors here.
///
/// # Errors
/// [`MatcherError`].
pub(crate) fn parse_rule(text: &str) -> Result<Expr, MatcherError> {
    parse_as(text, lexer::Source::Rule)
}

fn parse_as(text: &str, source: lexer::Source) -> Result<Expr, MatcherError> {
    if text.len() > MATCHER_BYTES {
        return Err(MatcherError {
            column: 1,
            message: "matcher is longer than 16 KiB".to_owned(),
        });
    }
    parser::expression(lexer::lex(text, source)?, text.len() + 1)
}

#[cfg(test)]
mod tests;

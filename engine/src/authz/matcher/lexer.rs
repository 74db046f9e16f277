use super::MatcherError;
use super::ast::Operator;
use super::date::is_date;

/// Where the text comes from, which decides what Casbin does to it before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A model's matcher.
    Model,
    /// A policy value handed to `eval()`.
    Rule,
}

/// A token and where it begins, in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lexeme<'t> {
    pub(super) token: Token<'t>,
    pub(super) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// A string literal, without quotes.
    Text(&'t str),
    Number(f64),
    /// A name, with the dots in it; `true`, `false` too.
    Word(&'t str),
    Operator(Operator),
    /// `!`.
    Not,
    /// `~`.
    BitNot,
    /// `?`.
    Question,
    /// `:`.
    Colon,
    Comma,
    Open,
    Close,
}

/// Cuts `text` into tokens.
///
/// # Errors
/// [`MatcherError`], for string literals that Casbin would change as well.
pub(super) fn lex(text: &str, source: Source) -> Result<Vec<Lexeme<'_>>, MatcherError> {
    if let Some(at) = text.find(|character: char| !character.is_ascii()) {
        // All before it are of one byte.
        return Err(MatcherError {
            column: at + 1,
            message: "a character outside of ASCII, which Casbin garbles".to_owned(),
        });
    }
    let lexer = Lexer {
        source,
        // Casbin looks for these two letters, not for the operator.
        brackets: source == Source::Model && text.contains("in"),
        quoted_brackets: source == Source::Rule || !(text.contains("in") || text.contains("IN")),
    };
    let mut lexemes = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let column = at + 1;
        let (token, length) = lexer
            .token(rest, first)
            .map_err(|message| MatcherError { column, message })?;
        lexemes.push(Lexeme { token, column });
        at += length;
    }
    Ok(lexemes)
}

struct Lexer {
    source: Source,
    /// Whether `[` and `]` are parentheses.
    brackets: bool,
    /// Whether they are left alone in string literals.
    quoted_brackets: bool,
}

impl Lexer {
    /// The token that `rest` starts with, and its length.
    fn token<'t>(&self, rest: &'t str, first: char) -> Result<(Token<'t>, usize), String> {
        match first {
            '(' => Ok((Token::Open, 1)),
            ')' => Ok((Token::Close, 1)),
            ',' => Ok((Token::Comma, 1)),
            '[' if self.brackets => Ok((Token::Open, 1)),
            ']' if self.brackets => Ok((Token::Close, 1)),
            '[' | ']' => Err(format!("`{first}` is only supported for the list of `in`")),
            '"' | '\'' => self.text(rest, first),
            '0'..='9' | '.' => number(rest),
            'a'..='z' | 'A'..='Z' => {
                let word = run(rest, |letter| is_word(letter) || letter == '.');
                let token = match word {
                    "in" | "IN" => Token::Operator(Operator::In),
                    _ => Token::Word(word),
                };
                Ok((token, word.len()))
            }
            _ => symbol(rest),
        }
    }

    fn text<'t>(&self, rest: &'t str, quote: char) -> Result<(Token<'t>, usize), String> {
        let inside = rest.get(1..).unwrap_or_default();
        let Some((text, end)) = inside
            .find(['"', '\''])
            .and_then(|end| inside.split_at_checked(end))
        else {
            return Err("string literal is not closed".to_owned());
        };
        let refused = |why: &str| Err(format!("string literal `{text}` {why}"));
        if !end.starts_with(quote) {
            return refused("has a quote in it, at which it ends in Casbin");
        }
        if self.source == Source::Rule && text.contains('\\') {
            return refused("has a backslash, which Casbin drops from rules");
        }
        if !self.quoted_brackets && text.contains(['[', ']']) {
            return refused(
                "has brackets, which Casbin makes parentheses because the matcher has `in` in it",
            );
        }
        if has_field(text) {
            return refused("has `r.` or `p.` in it, which Casbin changes to `r_` or `p_`");
        }
        if is_date(text) {
            return refused("reads as a date in Casbin: not supported");
        }
        Ok((Token::Text(text), text.len() + 2))
    }
}

fn number<'t>(rest: &str) -> Result<(Token<'t>, usize), String> {
    if let Some(after) = rest.strip_prefix("0x") {
        let digits = run(after, |digit| digit.is_ascii_hexdigit());
        return match u64::from_str_radix(digits, 16) {
            Ok(value) => Ok((Token::Number(value as f64), digits.len() + 2)),
            Err(_) => Err(format!("`0x{digits}` is not a number of 64 bits")),
        };
    }
    let digits = run(rest, |digit| digit.is_ascii_digit() || digit == '.');
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), digits.len())),
        _ => Err(format!("`{digits}` is not a number")),
    }
}

/// All that is no letter, digit, bracket, quote or blank is one symbol, however long.
fn symbol<'t>(rest: &str) -> Result<(Token<'t>, usize), String> {
    let symbol = run(rest, |character| {
        !character.is_whitespace()
            && !character.is_ascii_alphanumeric()
            && !matches!(character, '(' | ')' | '[' | ']' | '"' | '\'')
    });
    let token = match symbol {
        "!" => Token::Not,
        "~" => Token::BitNot,
        "?" => Token::Question,
        ":" => Token::Colon,
        _ => Operator::ALL
            .into_iter()
            .find(|operator| operator.symbol() == symbol)
            .map(Token::Operator)
            .ok_or_else(|| {
                format!("unknown operator `{symbol}`: operators need a blank between them")
            })?,
    };
    Ok((token, symbol.len()))
}

/// What `rest` starts with, as long as it is `within`.
fn run(rest: &str, within: impl Fn(char) -> bool) -> &str {
    let end = rest.find(|character: char| !within(character));
    rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether a text has a word like `r` or `p2` before a dot.
fn has_field(text: &str) -> bool {
    text.match_indices('.').any(|(dot, _)| {
        let before = text.get(..dot).unwrap_or_default();
        let word = before
            .rsplit(|letter: char| !is_word(letter))
            .next()
            .unwrap_or_default();
        word.strip_prefix(['r', 'p'])
            .is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let lexemes = lex(text, Source::Model).unwrap();
        lexemes.into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn all_tokens() {
        let expected = [
            Token::Word("r2.sub"),
            Token::Operator(Operator::Equal),
            Token::Text("a\\b"),
            Token::Operator(Operator::Or),
            Token::Not,
            Token::Word("g2"),
            Token::Open,
            Token::Number(31.0),
            Token::Comma,
            Token::Number(0.5),
            Token::Close,
            Token::Question,
            Token::BitNot,
            Token::Number(1.0),
            Token::Colon,
            Token::Text(""),
        ];
        let found = tokens("r2.sub=='a\\b'\t|| !g2(0x1F,.5) ? ~1. : ''");
        assert_eq!(found, expected);
        for operator in Operator::ALL {
            assert_eq!(tokens(operator.symbol()), [Token::Operator(operator)]);
        }
        assert_eq!(tokens("IN"), tokens("in"));
        assert_eq!(tokens("in [1]"), tokens("in (1)"));
        let lexemes = lex(" a\u{b}\r\n b", Source::Rule).unwrap();
        let columns: Vec<usize> = lexemes.iter().map(|lexeme| lexeme.column).collect();
        assert_eq!(columns, [2, 7]);
    }

    #[test]
    fn refused() {
        let cases = [
            ("a == \"x", 6, "string literal is not closed"),
            ("'it\"s'", 1, "has a quote in it"),
            (
                "a == '2020-01-01'",
                6,
                "`2020-01-01` reads as a date in Casbin",
            ),
            ("'a r1.b'", 1, "`a r1.b` has `r.` or `p.` in it"),
            ("'p.b'", 1, "has `r.` or `p.` in it"),
            ("'[a]' in x", 1, "has brackets"),
            ("'admin[a]'", 1, "has brackets"),
            ("'[a]' IN x", 1, "has brackets"),
            ("[a]", 1, "`[` is only supported for the list of `in`"),
            ("a&&!b", 2, "unknown operator `&&!`"),
            ("a == -1.2.3", 7, "`1.2.3` is not a number"),
            ("a >.5", 3, "unknown operator `>.`"),
            ("0x", 1, "`0x` is not a number of 64 bits"),
            ("0x10000000000000000", 1, "is not a number of 64 bits"),
            ("a == _b", 6, "unknown operator `_`"),
            ("a\\b", 2, "unknown operator `\\`"),
            ("a # b", 3, "unknown operator `#`"),
            ("a == '\u{e9}'", 7, "a character outside of ASCII"),
        ];
        for (text, column, message) in cases {
            let error = lex(text, Source::Model).unwrap_err();
            assert_eq!(error.column, column, "{text}");
            assert!(error.message.contains(message), "{error}");
        }
        assert!(lex(&"9".repeat(400), Source::Model).is_err());
        assert!(lex("'a\\b'", Source::Rule).is_err());
        assert!(lex("'xr.a.b1.c' != '[a]'", Source::Model).is_ok());
        assert!(lex("'admin[a]'", Source::Rule).is_ok());
    }
}

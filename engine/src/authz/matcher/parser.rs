use super::MatcherError;
use super::ast::{Expr, Operator};
use super::lexer::{Lexeme, Token};

/// How deep parentheses may go, those of the canonical form included.
const NESTING: usize = 64;
/// How deep a tree may go; chains of `&&` and `||` are trees as deep as they are long.
const HEIGHT: usize = 512;

/// The expression of all of `lexemes`; `end` is the column behind the text.
///
/// # Errors
/// [`MatcherError`].
pub(super) fn expression(lexemes: Vec<Lexeme<'_>>, end: usize) -> Result<Expr, MatcherError> {
    let mut parser = Parser {
        lexemes,
        next: 0,
        end,
        depth: 0,
    };
    let node = parser.ternary(false)?;
    match parser.peek() {
        None => Ok(node.expr),
        Some(_) => Err(parser.unexpected("an operator")),
    }
}

struct Parser<'t> {
    lexemes: Vec<Lexeme<'t>>,
    next: usize,
    end: usize,
    depth: usize,
}

struct Node {
    expr: Expr,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    /// How deep the parentheses of the canonical form go.
    nesting: usize,
    height: usize,
}

impl<'t> Parser<'t> {
    /// `a ? b : c` and `a ?? b`, which bind from the left, even the former.
    fn ternary(&mut self, list: bool) -> Result<Node, MatcherError> {
        let mut left = self.binary(Operator::Or.level(), list)?;
        loop {
            let column = self.column();
            match self.peek() {
                Some(Token::Operator(Operator::Coalesce)) => {
                    self.next += 1;
                    let right = self.binary(Operator::Or.level(), false)?;
                    left = join(Operator::Coalesce, left, right, column)?;
                }
                Some(Token::Question) => {
                    self.next += 1;
                    let then = self.binary(Operator::Or.level(), false)?;
                    self.expect(Token::Colon, "`:`; nested conditions need parentheses")?;
                    let otherwise = self.binary(Operator::Or.level(), false)?;
                    let size = Size::around([&left, &then, &otherwise], column)?;
                    let expr = Expr::Conditional {
                        condition: Box::new(left.expr),
                        then: Box::new(then.expr),
                        otherwise: Box::new(otherwise.expr),
                    };
                    left = Node { expr, size };
                }
                _ => return Ok(left),
            }
        }
    }

    /// Operands and operators of `level` and above.
    fn binary(&mut self, level: u8, list: bool) -> Result<Node, MatcherError> {
        let mut left = self.prefixed(list)?;
        while let Some(Token::Operator(operator)) = self.peek()
            && operator.level() >= level
        {
            if matches!(left.expr, Expr::List(_)) {
                return Err(self.unexpected("the end of the operand of `in`"));
            }
            let column = self.column();
            self.next += 1;
            let right = self.binary(operator.level() + 1, operator == Operator::In)?;
            left = join(operator, left, right, column)?;
        }
        Ok(left)
    }

    fn prefixed(&mut self, list: bool) -> Result<Node, MatcherError> {
        let column = self.column();
        let wrap: fn(Box<Expr>) -> Expr = match self.peek() {
            Some(Token::Not) => Expr::Not,
            Some(Token::BitNot) => Expr::BitNot,
            Some(Token::Operator(Operator::Subtract)) => Expr::Negate,
            _ => return self.operand(list),
        };
        self.next += 1;
        if let Some(Token::Text(_)) = self.peek() {
            return Err(self.unexpected("something else than a string literal"));
        }
        let operand = self.operand(false)?;
        let size = Size::around([&operand], column)?;
        let expr = wrap(Box::new(operand.expr));
        Ok(Node { expr, size })
    }

    fn operand(&mut self, list: bool) -> Result<Node, MatcherError> {
        let column = self.column();
        let expr = match self.peek() {
            Some(Token::Text(text)) => Expr::Text(text.into()),
            Some(Token::Number(number)) => Expr::Number(number),
            Some(Token::Word("true")) => Expr::Bool(true),
            Some(Token::Word("false")) => Expr::Bool(false),
            Some(Token::Word(word)) => {
                self.next += 1;
                return match self.peek() {
                    Some(Token::Open) => self.call(word, column),
                    _ => field(word, column).map(leaf),
                };
            }
            Some(Token::Open) => return self.group(list),
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(leaf(expr))
    }

    fn call(&mut self, name: &str, column: usize) -> Result<Node, MatcherError> {
        if name.contains('.') {
            return Err(MatcherError {
                column,
                message: format!("method call `{name}` is not supported"),
            });
        }
        self.deeper()?;
        let arguments = match self.peek() {
            Some(Token::Close) => Vec::new(),
            _ => self.values()?,
        };
        self.shallower()?;
        let size = Size::around(&arguments, column)?;
        let expr = Expr::Call {
            name: name.into(),
            arguments: arguments.into_iter().map(|node| node.expr).collect(),
            column,
        };
        Ok(Node { expr, size })
    }

    /// What stands in parentheses: one expression or, where `list` allows it, several.
    fn group(&mut self, list: bool) -> Result<Node, MatcherError> {
        let column = self.column();
        self.deeper()?;
        // `in ("a")` is a list of one, but `in (r.x)` is the list that `r.x` has.
        let is_literal = matches!(
            self.peek(),
            Some(Token::Text(_) | Token::Number(_) | Token::Word("true" | "false"))
        ) && self.peek_second() == Some(Token::Close);
        let mut values = self.values()?;
        if values.len() > 1 && !list {
            return Err(MatcherError {
                column,
                message: "a list may only stand directly behind `in`".to_owned(),
            });
        }
        self.shallower()?;
        if values.len() == 1
            && !(list && is_literal)
            && let Some(value) = values.pop()
        {
            return Ok(value);
        }
        let size = Size::around(&values, column)?;
        let expr = Expr::List(values.into_iter().map(|node| node.expr).collect());
        Ok(Node { expr, size })
    }

    fn values(&mut self) -> Result<Vec<Node>, MatcherError> {
        let mut values = vec![self.ternary(false)?];
        while self.peek() == Some(Token::Comma) {
            self.next += 1;
            values.push(self.ternary(false)?);
        }
        Ok(values)
    }

    fn deeper(&mut self) -> Result<(), MatcherError> {
        if self.depth == NESTING {
            return Err(too_deep(self.column()));
        }
        self.depth += 1;
        self.next += 1;
        Ok(())
    }

    fn shallower(&mut self) -> Result<(), MatcherError> {
        self.depth -= 1;
        self.expect(Token::Close, "`)`")
    }

    fn expect(&mut self, token: Token<'t>, name: &str) -> Result<(), MatcherError> {
        if self.peek() != Some(token) {
            return Err(self.unexpected(name));
        }
        self.next += 1;
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> MatcherError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Text(text)) => format!("string literal `{text}`"),
            Some(Token::Number(number)) => format!("`{number}`"),
            Some(Token::Word(word)) => format!("`{word}`"),
            Some(Token::Operator(operator)) => format!("`{}`", operator.symbol()),
            Some(Token::Not) => "`!`".to_owned(),
            Some(Token::BitNot) => "`~`".to_owned(),
            Some(Token::Question) => "`?`".to_owned(),
            Some(Token::Colon) => "`:`".to_owned(),
            Some(Token::Comma) => "`,`".to_owned(),
            Some(Token::Open) => "`(`".to_owned(),
            Some(Token::Close) => "`)`".to_owned(),
        };
        MatcherError {
            column: self.column(),
            message: format!("expected {expected}, found {found}"),
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.lexemes.get(self.next).map(|lexeme| lexeme.token)
    }

    fn peek_second(&self) -> Option<Token<'t>> {
        self.lexemes.get(self.next + 1).map(|lexeme| lexeme.token)
    }

    fn column(&self) -> usize {
        let lexeme = self.lexemes.get(self.next);
        lexeme.map_or(self.end, |lexeme| lexeme.column)
    }
}

impl Size {
    /// Of an expression with `parts`.
    fn around<'n>(
        parts: impl IntoIterator<Item = &'n Node>,
        column: usize,
    ) -> Result<Self, MatcherError> {
        let largest = Self::of(parts);
        Self {
            nesting: largest.nesting + 1,
            height: largest.height + 1,
        }
        .checked(column)
    }

    fn of<'n>(parts: impl IntoIterator<Item = &'n Node>) -> Self {
        let none = Self {
            nesting: 0,
            height: 0,
        };
        parts.into_iter().fold(none, |largest, part| Self {
            nesting: largest.nesting.max(part.size.nesting),
            height: largest.height.max(part.size.height),
        })
    }

    fn checked(self, column: usize) -> Result<Self, MatcherError> {
        if self.nesting > NESTING || self.height > HEIGHT {
            return Err(too_deep(column));
        }
        Ok(self)
    }
}

fn join(operator: Operator, left: Node, right: Node, column: usize) -> Result<Node, MatcherError> {
    let continues = matches!(
        &left.expr,
        Expr::Binary { operator: inner, .. } if operator.is_chained() && *inner == operator
    );
    let within = if continues {
        left.size.nesting
    } else {
        left.size.nesting + 1
    };
    let size = Size {
        nesting: within.max(right.size.nesting + 1),
        height: left.size.height.max(right.size.height) + 1,
    };
    let size = size.checked(column)?;
    let expr = Expr::Binary {
        operator,
        left: Box::new(left.expr),
        right: Box::new(right.expr),
        column,
    };
    Ok(Node { expr, size })
}

fn leaf(expr: Expr) -> Node {
    let size = Size {
        nesting: 0,
        height: 1,
    };
    Node { expr, size }
}

fn too_deep(column: usize) -> MatcherError {
    MatcherError {
        column,
        message: format!(
            "expression nests deeper than {NESTING}, or is a chain of more than {HEIGHT}"
        ),
    }
}

/// A field: `r.sub`, or `r_sub`, which is what Casbin makes of it.
fn field(word: &str, column: usize) -> Result<Expr, MatcherError> {
    let unknown = || MatcherError {
        column,
        message: format!("unknown name `{word}`: expected `r.` or `p.` and a field"),
    };
    let (root, names) = word.split_once(['.', '_']).ok_or_else(unknown)?;
    let is_root = root
        .strip_prefix(['r', 'p'])
        .is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
    let path: Vec<Box<str>> = names.split('.').map(Box::from).collect();
    if !is_root || path.iter().any(|name| name.is_empty()) {
        return Err(unknown());
    }
    Ok(Expr::Field {
        root: root.into(),
        path,
        column,
    })
}

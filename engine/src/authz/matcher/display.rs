use std::fmt;

use super::ast::{Expr, Operator};

/// The canonical form: every operation in parentheses, except inside of a chain of `&&` or of
/// `||`. Parsing it gives an equal expression.
impl fmt::Display for Expr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Text(text) => {
                let quote = if text.contains('"') { '\'' } else { '"' };
                write!(formatter, "{quote}{text}{quote}")
            }
            Expr::Number(number) => write!(formatter, "{number}"),
            Expr::Bool(value) => write!(formatter, "{value}"),
            Expr::Field { root, path, .. } => {
                formatter.write_str(root)?;
                path.iter()
                    .try_for_each(|name| write!(formatter, ".{name}"))
            }
            Expr::Call {
                name, arguments, ..
            } => {
                formatter.write_str(name)?;
                list(formatter, arguments)
            }
            Expr::Not(operand) => prefixed(formatter, '!', operand),
            Expr::Negate(operand) => prefixed(formatter, '-', operand),
            Expr::BitNot(operand) => prefixed(formatter, '~', operand),
            Expr::Binary {
                operator,
                left,
                right,
                ..
            } => {
                formatter.write_str("(")?;
                chain(formatter, *operator, left, right)?;
                formatter.write_str(")")
            }
            Expr::Conditional {
                condition,
                then,
                otherwise,
            } => write!(formatter, "({condition} ? {then} : {otherwise})"),
            Expr::List(values) => list(formatter, values),
        }
    }
}

fn list(formatter: &mut fmt::Formatter<'_>, values: &[Expr]) -> fmt::Result {
    formatter.write_str("(")?;
    for (index, value) in values.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(formatter, "{separator}{value}")?;
    }
    formatter.write_str(")")
}

fn prefixed(formatter: &mut fmt::Formatter<'_>, prefix: char, operand: &Expr) -> fmt::Result {
    match operand {
        // Neither may stand behind a prefix.
        Expr::Not(_) | Expr::Negate(_) | Expr::BitNot(_) | Expr::Text(_) => {
            write!(formatter, "{prefix}({operand})")
        }
        _ => write!(formatter, "{prefix}{operand}"),
    }
}

fn chain(
    formatter: &mut fmt::Formatter<'_>,
    operator: Operator,
    left: &Expr,
    right: &Expr,
) -> fmt::Result {
    match left {
        Expr::Binary {
            operator: inner,
            left,
            right,
            ..
        } if operator.is_chained() && *inner == operator => {
            chain(formatter, operator, left, right)?;
        }
        _ => write!(formatter, "{left}")?,
    }
    write!(formatter, " {} {right}", operator.symbol())
}

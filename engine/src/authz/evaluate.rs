use std::borrow::Cow;

use serde_json::Value as Json;

use super::AuthzError;
use super::functions::{FunctionError, Pattern, key_get};
use super::matcher::Operator;
use super::node::{Node, PatternSource};
use super::role_graph::RoleGraph;
use super::rows::Rows;
use super::symbols::Symbols;
use super::value::{RequestValue, Value};

/// What an expression is evaluated with.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) symbols: &'s Symbols,
    pub(super) graphs: &'s [RoleGraph],
    pub(super) rows: &'s Rows,
    /// Which of the matchers: their rules differ.
    pub(super) matcher: usize,
    pub(super) request: &'s [RequestValue<'s>],
    /// The row; without one, as Casbin does when there are none, its values are empty.
    pub(super) row: Option<usize>,
}

impl<'s> Scope<'s> {
    /// Whether `node` matches: true, or a number that is not zero.
    pub(super) fn matches(&self, node: &'s Node) -> Result<bool, AuthzError> {
        match self.evaluate(node)? {
            Value::Bool(value) => Ok(value),
            Value::Number(number) => Ok(number != 0.0),
            other => Err(AuthzError::Result(other.type_name())),
        }
    }

    pub(super) fn bool(&self, node: &'s Node, operator: &'static str) -> Result<bool, AuthzError> {
        self.evaluate(node)?.bool(operator)
    }

    pub(super) fn evaluate(&self, node: &'s Node) -> Result<Value<'s>, AuthzError> {
        match node {
            Node::Text(text) => Ok(Value::Text(Cow::Borrowed(text))),
            Node::Number(number) => Ok(Value::Number(*number)),
            Node::Bool(value) => Ok(Value::Bool(*value)),
            Node::Request { field, path } => self.request_value(*field, path),
            Node::Policy { field } => Ok(Value::Text(Cow::Borrowed(self.policy_text(*field)))),
            Node::Match {
                function,
                key,
                pattern,
            } => {
                let key = self.evaluate(key)?;
                let key = key.text(function.name())?;
                let pattern = match pattern {
                    PatternSource::Constant(pattern) => Some(pattern),
                    PatternSource::Policy { field } => self
                        .cell(*field)
                        .and_then(|cell| self.rows.patterns.get(&(*function, cell))),
                };
                let matches = match pattern {
                    Some(pattern) => pattern.matches(key)?,
                    // Only without a row: the pattern is empty.
                    None => Pattern::compile(*function, "")
                        .map_err(FunctionError::from)?
                        .matches(key)?,
                };
                Ok(Value::Bool(matches))
            }
            Node::KeyGet {
                function,
                arguments,
            } => {
                let mut texts = arguments.iter().map(|own| self.text(own, function.name()));
                let key = texts.next().transpose()?.unwrap_or_default();
                let pattern = texts.next().transpose()?.unwrap_or_default();
                let name = texts.next().transpose()?;
                let found = key_get(*function, &key, &pattern, name.as_deref())?;
                Ok(Value::Text(Cow::Owned(found)))
            }
            Node::Role {
                graph,
                member,
                role,
                domain,
            } => {
                let member = self.text(member, "g")?;
                let role = self.text(role, "g")?;
                let domain = match domain {
                    Some(domain) => self.text(domain, "g")?,
                    None => Cow::Borrowed(""),
                };
                let linked = self
                    .graphs
                    .get(*graph)
                    .is_some_and(|own| own.has_link(&member, &role, &domain, self.symbols));
                Ok(Value::Bool(linked))
            }
            Node::Eval { field } => {
                let rule = self
                    .cell(*field)
                    .and_then(|cell| self.rows.rules.get(&(self.matcher, cell)))
                    .ok_or(AuthzError::NoRows)?;
                self.evaluate(rule)
            }
            Node::Not(operand) => Ok(Value::Bool(!self.bool(operand, "!")?)),
            Node::Negate(operand) => Ok(Value::Number(-self.evaluate(operand)?.number("-")?)),
            Node::BitNot(operand) => {
                let number = whole(self.evaluate(operand)?.number("~")?);
                Ok(Value::Number(float(!number)))
            }
            Node::Binary {
                operator,
                left,
                right,
            } => self.binary(*operator, left, right),
            Node::Conditional {
                condition,
                then,
                otherwise,
            } => {
                if self.bool(condition, "?")? {
                    match self.evaluate(then)? {
                        // As Casbin has it: `x ? null : y` is y.
                        Value::Null => self.evaluate(otherwise),
                        value => Ok(value),
                    }
                } else {
                    self.evaluate(otherwise)
                }
            }
            // Lists are looked at by `in` alone.
            Node::List(_) => Err(AuthzError::Result("a list")),
        }
    }

    pub(super) fn request_value(
        &self,
        field: usize,
        path: &'s [Box<str>],
    ) -> Result<Value<'s>, AuthzError> {
        self.request
            .get(field)
            .and_then(|value| value.at(path))
            .ok_or_else(|| {
                let names: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
                AuthzError::Attribute(names.join("."))
            })
    }

    fn policy_text(&self, field: usize) -> &'s str {
        self.cell(field)
            .map_or("", |symbol| self.symbols.text(symbol))
    }

    fn cell(&self, field: usize) -> Option<u32> {
        self.rows.cell(self.row?, field)
    }

    fn text(&self, node: &'s Node, operator: &'static str) -> Result<Cow<'s, str>, AuthzError> {
        match self.evaluate(node)? {
            Value::Text(text) => Ok(text),
            other => Err(other.refused(operator)),
        }
    }

    fn binary(
        &self,
        operator: Operator,
        left: &'s Node,
        right: &'s Node,
    ) -> Result<Value<'s>, AuthzError> {
        let symbol = operator.symbol();
        let own = self.evaluate(left)?;
        match (operator, &own) {
            (Operator::And, Value::Bool(false)) | (Operator::Or, Value::Bool(true)) => {
                return Ok(own);
            }
            (Operator::Coalesce, Value::Null) => return self.evaluate(right),
            (Operator::Coalesce, _) => return Ok(own),
            (Operator::In, _) => return self.is_in(&own, right).map(Value::Bool),
            _ => {}
        }
        let other = self.evaluate(right)?;
        let number = |value: &Value<'_>| value.number(symbol);
        Ok(match operator {
            Operator::And | Operator::Or => {
                own.bool(symbol)?;
                Value::Bool(other.bool(symbol)?)
            }
            Operator::Equal => Value::Bool(own.equals(&other)),
            Operator::NotEqual => Value::Bool(!own.equals(&other)),
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let order = match (&own, &other) {
                    (Value::Text(own), Value::Text(other)) => {
                        Some(own.as_bytes().cmp(other.as_bytes()))
                    }
                    (Value::Number(own), Value::Number(other)) => own.partial_cmp(other),
                    (Value::Text(_) | Value::Number(_), other) => return Err(other.refused(symbol)),
                    (own, _) => return Err(own.refused(symbol)),
                };
                Value::Bool(order.is_some_and(|order| match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            Operator::Add => match (&own, &other) {
                (Value::Number(own), Value::Number(other)) => Value::Number(own + other),
                (Value::Text(_), _) | (_, Value::Text(_)) => {
                    Value::Text(Cow::Owned(own.joined() + &other.joined()))
                }
                (Value::Number(_), other) => return Err(other.refused(symbol)),
                (own, _) => return Err(own.refused(symbol)),
            },
            Operator::Subtract => Value::Number(number(&own)? - number(&other)?),
            Operator::Multiply => Value::Number(number(&own)? * number(&other)?),
            Operator::Divide => Value::Number(number(&own)? / number(&other)?),
            Operator::Modulo => Value::Number(number(&own)? % number(&other)?),
            Operator::Power => Value::Number(number(&own)?.powf(number(&other)?)),
            Operator::BitAnd => Value::Number(float(whole(number(&own)?) & whole(number(&other)?))),
            Operator::BitOr => Value::Number(float(whole(number(&own)?) | whole(number(&other)?))),
            Operator::BitXor => Value::Number(float(whole(number(&own)?) ^ whole(number(&other)?))),
            Operator::ShiftLeft | Operator::ShiftRight => {
                Value::Number(shifted(operator, number(&own)?, number(&other)?))
            }
            // The others were answered above or compiled to something else.
            Operator::Matches | Operator::NotMatches | Operator::In | Operator::Coalesce => {
                return Err(own.refused(symbol));
            }
        })
    }

    fn is_in(&self, own: &Value<'_>, list: &'s Node) -> Result<bool, AuthzError> {
        if let Node::List(elements) = list {
            // All elements are evaluated: an error in one is not hidden by a match before it.
            let mut found = false;
            for element in elements {
                found |= is_element(own, &self.evaluate(element)?)?;
            }
            return Ok(found);
        }
        match self.evaluate(list)? {
            Value::Json(Json::Array(elements)) => {
                let mut found = false;
                for element in elements {
                    found |= is_element(own, &Value::from(element))?;
                }
                Ok(found)
            }
            other => Err(other.refused("in")),
        }
    }
}

/// `==`, but that Casbin has no answer for two arrays or objects.
fn is_element(own: &Value<'_>, element: &Value<'_>) -> Result<bool, AuthzError> {
    match (own, element) {
        (Value::Json(_), Value::Json(_)) => Err(own.refused("in")),
        _ => Ok(own.equals(element)),
    }
}

/// Towards zero, as Go converts; what is out of range is the nearest.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: f64) -> i64 {
    number as i64
}

#[allow(clippy::cast_precision_loss)]
fn float(number: i64) -> f64 {
    number as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn shifted(operator: Operator, own: f64, by: f64) -> f64 {
    let (own, by) = (own as u64, by as u64);
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    let value = match operator {
        Operator::ShiftLeft => own.checked_shl(by),
        _ => own.checked_shr(by),
    };
    value.unwrap_or(0) as f64
}

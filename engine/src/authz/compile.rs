use super::functions::{Function, Pattern, key_get};
use super::matcher::{Expr, Operator};
use super::node::{Node, PatternSource};
use crate::policy::{Definition, Model};

/// Why an expression was refused: where in it, in characters from 1, if that is known.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) column: Option<usize>,
    pub(super) message: String,
    /// Whether Casbin would accept it.
    pub(super) unsupported: bool,
}

/// What an expression may mention.
#[derive(Clone, Copy)]
pub(super) struct Names<'m> {
    pub(super) model: &'m Model,
    pub(super) request: &'m Definition,
    pub(super) policy: &'m Definition,
    /// Whether `eval` may be called: a rule that evaluates rules could evaluate itself.
    pub(super) may_eval: bool,
}

/// What is known of a value before any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Text,
    Number,
    Bool,
    List,
    Anything,
}

/// Compiles a matcher, or a rule that one evaluates: its value decides.
pub(super) fn compile(expr: &Expr, names: Names<'_>) -> Result<Node, Refused> {
    let (node, known) = names.node(expr)?;
    match known {
        Known::Bool | Known::Number | Known::Anything => Ok(node),
        Known::Text | Known::List => Err(syntax(
            column(expr),
            "a matcher has to be true, false or a number".to_owned(),
        )),
    }
}

impl Names<'_> {
    fn node(self, expr: &Expr) -> Result<(Node, Known), Refused> {
        match expr {
            Expr::Text(text) => Ok((Node::Text(text.clone()), Known::Text)),
            Expr::Number(number) => Ok((Node::Number(*number), Known::Number)),
            Expr::Bool(value) => Ok((Node::Bool(*value), Known::Bool)),
            Expr::Field { root, path, column } => self.field(root, path, *column),
            Expr::Call {
                name,
                arguments,
                column,
            } => self.call(name, arguments, *column),
            Expr::Not(operand) => {
                let node = self.of(operand, Known::Bool, "!")?;
                Ok((Node::Not(Box::new(node)), Known::Bool))
            }
            Expr::Negate(operand) => {
                let node = self.of(operand, Known::Number, "-")?;
                Ok((Node::Negate(Box::new(node)), Known::Number))
            }
            Expr::BitNot(operand) => {
                let node = self.of(operand, Known::Number, "~")?;
                Ok((Node::BitNot(Box::new(node)), Known::Number))
            }
            Expr::Binary {
                operator,
                left,
                right,
                column,
            } => self.binary(*operator, left, right, *column),
            Expr::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.of(condition, Known::Bool, "?")?;
                let (then, known) = self.node(then)?;
                let (otherwise, other) = self.node(otherwise)?;
                let node = Node::Conditional {
                    condition: Box::new(condition),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                };
                Ok((
                    node,
                    if known == other {
                        known
                    } else {
                        Known::Anything
                    },
                ))
            }
            Expr::List(elements) => {
                let nodes = elements
                    .iter()
                    .map(|own| Ok(self.node(own)?.0))
                    .collect::<Result<_, Refused>>()?;
                Ok((Node::List(nodes), Known::List))
            }
        }
    }

    /// A value of the type that `operator` takes.
    fn of(self, expr: &Expr, wanted: Known, operator: &str) -> Result<Node, Refused> {
        let (node, known) = self.node(expr)?;
        if known == wanted || known == Known::Anything {
            return Ok(node);
        }
        Err(syntax(
            column(expr),
            format!(
                "`{operator}` takes {}, this is {}",
                wanted.name(),
                known.name()
            ),
        ))
    }

    fn field(self, root: &str, path: &[Box<str>], column: usize) -> Result<(Node, Known), Refused> {
        let refused = |message: String| Err(syntax(Some(column), message));
        let Some((name, attributes)) = path.split_first() else {
            return refused(format!("`{root}` is no field"));
        };
        let definition = if root == self.request.key {
            self.request
        } else if root == self.policy.key {
            self.policy
        } else {
            return refused(format!(
                "`{root}.{name}`: this matcher has fields of `{}` and `{}`",
                self.request.key, self.policy.key
            ));
        };
        let Some(field) = definition.position(name) else {
            return refused(format!(
                "`{root}.{name}` is not defined: the fields of `{root}` are {}",
                definition.fields.join(", ")
            ));
        };
        if root == self.request.key {
            let path = attributes.into();
            return Ok((Node::Request { field, path }, Known::Anything));
        }
        if !attributes.is_empty() {
            return refused(format!("`{root}.{name}` is text and has no attributes"));
        }
        Ok((Node::Policy { field }, Known::Text))
    }

    fn call(self, name: &str, arguments: &[Expr], column: usize) -> Result<(Node, Known), Refused> {
        if name == "eval" {
            return self.eval(arguments, column);
        }
        if let Some(graph) = self.model.roles.iter().position(|own| own.key == name) {
            return self.role(graph, name, arguments, column);
        }
        let Some(function) = Function::from_name(name) else {
            let message = match name.strip_prefix('g') {
                Some(number) if number.chars().all(|own| own.is_ascii_digit()) => {
                    format!("`{name}` is not defined in section `role_definition`")
                }
                _ => format!("unknown function `{name}`"),
            };
            return Err(syntax(Some(column), message));
        };
        if arguments.len() != function.arity() {
            return Err(syntax(
                Some(column),
                format!(
                    "`{name}` takes {} arguments, found {}",
                    function.arity(),
                    arguments.len()
                ),
            ));
        }
        let nodes = arguments
            .iter()
            .map(|own| self.of(own, Known::Text, name))
            .collect::<Result<Vec<_>, _>>()?;
        let pattern = nodes.get(1);
        match pattern {
            Some(Node::Text(_) | Node::Policy { .. }) => {}
            _ => {
                return Err(Refused {
                    column: Some(column),
                    message: format!(
                        "the pattern of `{name}` has to be a policy field or a string"
                    ),
                    unsupported: true,
                });
            }
        }
        let constant = |message: String| syntax(Some(column), message);
        if function.is_predicate() {
            let mut nodes = nodes.into_iter();
            let (Some(key), Some(pattern)) = (nodes.next(), nodes.next()) else {
                return Err(constant(format!("`{name}` takes 2 arguments")));
            };
            return Ok((matching(function, key, pattern, constant)?, Known::Bool));
        }
        if let Some(Node::Text(pattern)) = pattern {
            check_get(function, pattern).map_err(constant)?;
        }
        let node = Node::KeyGet {
            function,
            arguments: nodes.into(),
        };
        Ok((node, Known::Text))
    }

    fn eval(self, arguments: &[Expr], column: usize) -> Result<(Node, Known), Refused> {
        let [rule] = arguments else {
            return Err(syntax(
                Some(column),
                format!("`eval` takes 1 argument, found {}", arguments.len()),
            ));
        };
        let unsupported = |message: &str| Refused {
            column: Some(column),
            message: message.to_owned(),
            unsupported: true,
        };
        if !self.may_eval {
            return Err(unsupported("`eval` inside of a rule that is evaluated"));
        }
        match self.node(rule)? {
            (Node::Policy { field }, _) => Ok((Node::Eval { field }, Known::Anything)),
            _ => Err(unsupported("`eval` takes a policy field")),
        }
    }

    fn role(
        self,
        graph: usize,
        name: &str,
        arguments: &[Expr],
        column: usize,
    ) -> Result<(Node, Known), Refused> {
        let places = self.model.roles.get(graph).map_or(2, |own| own.places);
        if arguments.len() < 2 {
            return Err(syntax(
                Some(column),
                format!(
                    "`{name}` takes {places} arguments, found {}",
                    arguments.len()
                ),
            ));
        }
        if arguments.len() != places {
            return Err(Refused {
                column: Some(column),
                message: format!(
                    "`{name}` is defined with {places} places and called with {}",
                    arguments.len()
                ),
                unsupported: true,
            });
        }
        let mut nodes = arguments
            .iter()
            .map(|own| self.of(own, Known::Text, name).map(Box::new))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        match (nodes.next(), nodes.next()) {
            (Some(member), Some(role)) => {
                let node = Node::Role {
                    graph,
                    member,
                    role,
                    domain: nodes.next(),
                };
                Ok((node, Known::Bool))
            }
            _ => Err(syntax(
                Some(column),
                format!("`{name}` takes {places} arguments"),
            )),
        }
    }

    fn binary(
        self,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        at: usize,
    ) -> Result<(Node, Known), Refused> {
        let symbol = operator.symbol();
        match operator {
            Operator::And | Operator::Or => {
                let left = self.of(left, Known::Bool, symbol)?;
                let right = self.of(right, Known::Bool, symbol)?;
                Ok((join(operator, left, right), Known::Bool))
            }
            Operator::Equal | Operator::NotEqual => {
                let (left, _) = self.node(left)?;
                let (right, _) = self.node(right)?;
                Ok((join(operator, left, right), Known::Bool))
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let (own, first) = self.node(left)?;
                let (other, second) = self.node(right)?;
                let ordered =
                    |known| matches!(known, Known::Text | Known::Number | Known::Anything);
                let alike =
                    first == second || first == Known::Anything || second == Known::Anything;
                if !ordered(first) || !ordered(second) || !alike {
                    return Err(syntax(
                        column(left).or(Some(at)),
                        format!(
                            "`{symbol}` compares two texts or two numbers, not {} and {}",
                            first.name(),
                            second.name()
                        ),
                    ));
                }
                Ok((join(operator, own, other), Known::Bool))
            }
            Operator::Matches | Operator::NotMatches => {
                let key = self.of(left, Known::Text, symbol)?;
                let pattern = self.of(right, Known::Text, symbol)?;
                if !matches!(pattern, Node::Text(_) | Node::Policy { .. }) {
                    return Err(Refused {
                        column: column(left).or(Some(at)),
                        message: format!(
                            "the pattern of `{symbol}` has to be a policy field or a string"
                        ),
                        unsupported: true,
                    });
                }
                let refused = |message: String| syntax(Some(at), message);
                let node = matching(Function::RegexMatch, key, pattern, refused)?;
                let node = match operator {
                    Operator::NotMatches => Node::Not(Box::new(node)),
                    _ => node,
                };
                Ok((node, Known::Bool))
            }
            Operator::In => {
                let (own, _) = self.node(left)?;
                let list = self
                    .of(right, Known::List, symbol)
                    .map_err(|refused| Refused {
                        column: column(left).or(Some(at)),
                        ..refused
                    })?;
                Ok((join(operator, own, list), Known::Bool))
            }
            Operator::Coalesce => {
                let (own, first) = self.node(left)?;
                let (other, second) = self.node(right)?;
                let known = if first == second {
                    first
                } else {
                    Known::Anything
                };
                Ok((join(operator, own, other), known))
            }
            Operator::Add => {
                let (own, first) = self.node(left)?;
                let (other, second) = self.node(right)?;
                let known = match (first, second) {
                    (Known::Text, _) | (_, Known::Text) => Known::Text,
                    (Known::Number, Known::Number) => Known::Number,
                    (Known::Bool | Known::List, Known::Bool | Known::List | Known::Number)
                    | (Known::Number, Known::Bool | Known::List) => {
                        return Err(syntax(
                            column(left).or(Some(at)),
                            format!(
                                "`+` takes numbers or text, not {} and {}",
                                first.name(),
                                second.name()
                            ),
                        ));
                    }
                    _ => Known::Anything,
                };
                Ok((join(operator, own, other), known))
            }
            _ => {
                let left = self.of(left, Known::Number, symbol)?;
                let right = self.of(right, Known::Number, symbol)?;
                Ok((join(operator, left, right), Known::Number))
            }
        }
    }
}

impl Known {
    fn name(self) -> &'static str {
        match self {
            Known::Text => "text",
            Known::Number => "a number",
            Known::Bool => "true or false",
            Known::List => "a list",
            Known::Anything => "anything",
        }
    }
}

/// Checks the pattern of a function that returns text.
pub(super) fn check_get(function: Function, pattern: &str) -> Result<(), String> {
    let name = (function.arity() == 3).then_some("");
    key_get(function, "", pattern, name)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn matching(
    function: Function,
    key: Node,
    pattern: Node,
    refused: impl Fn(String) -> Refused,
) -> Result<Node, Refused> {
    let pattern = match pattern {
        Node::Policy { field } => PatternSource::Policy { field },
        Node::Text(text) => PatternSource::Constant(
            Pattern::compile(function, &text).map_err(|error| refused(error.to_string()))?,
        ),
        _ => {
            return Err(refused(
                "a pattern has to be a policy field or a string".to_owned(),
            ));
        }
    };
    Ok(Node::Match {
        function,
        key: Box::new(key),
        pattern,
    })
}

fn join(operator: Operator, left: Node, right: Node) -> Node {
    Node::Binary {
        operator,
        left: Box::new(left),
        right: Box::new(right),
    }
}

fn syntax(column: Option<usize>, message: String) -> Refused {
    Refused {
        column,
        message,
        unsupported: false,
    }
}

/// Where an expression begins, as far as it has a part that knows.
fn column(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Text(_) | Expr::Number(_) | Expr::Bool(_) => None,
        Expr::Field { column, .. } | Expr::Call { column, .. } => Some(*column),
        Expr::Not(own) | Expr::Negate(own) | Expr::BitNot(own) => column(own),
        Expr::Binary {
            left,
            column: operator,
            ..
        } => column(left).or(Some(*operator)),
        Expr::Conditional { condition, .. } => column(condition),
        Expr::List(elements) => elements.first().and_then(column),
    }
}

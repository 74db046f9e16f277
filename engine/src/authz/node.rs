use super::functions::{Function, Pattern};
use super::matcher::Operator;

/// A compiled expression: fields are positions, constant patterns are compiled, types are checked
/// as far as they are known.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Number(f64),
    Bool(bool),
    /// A request value or an attribute of it.
    Request {
        field: usize,
        path: Box<[Box<str>]>,
    },
    /// A policy value.
    Policy {
        field: usize,
    },
    /// A predicate of a key and a pattern.
    Match {
        function: Function,
        key: Box<Node>,
        pattern: PatternSource,
    },
    /// A function of a key and a pattern that returns text.
    KeyGet {
        function: Function,
        arguments: Box<[Node]>,
    },
    /// `g(member, role[, domain])`.
    Role {
        graph: usize,
        member: Box<Node>,
        role: Box<Node>,
        domain: Option<Box<Node>>,
    },
    /// The rule in a policy value.
    Eval {
        field: usize,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    BitNot(Box<Node>),
    Binary {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    List(Box<[Node]>),
}

/// Where a pattern is.
#[derive(Clone, Debug)]
pub(super) enum PatternSource {
    Constant(Pattern),
    /// In a policy field; the rows' patterns are compiled with the policy.
    Policy {
        field: usize,
    },
}

impl Node {
    /// Whether any part fulfils `is`.
    pub(super) fn any(&self, is: &dyn Fn(&Node) -> bool) -> bool {
        if is(self) {
            return true;
        }
        match self {
            Node::Text(_)
            | Node::Number(_)
            | Node::Bool(_)
            | Node::Request { .. }
            | Node::Policy { .. }
            | Node::Eval { .. } => false,
            Node::Match { key, .. } => key.any(is),
            Node::KeyGet { arguments, .. } | Node::List(arguments) => {
                arguments.iter().any(|own| own.any(is))
            }
            Node::Role {
                member,
                role,
                domain,
                ..
            } => member.any(is) || role.any(is) || domain.as_ref().is_some_and(|own| own.any(is)),
            Node::Not(own) | Node::Negate(own) | Node::BitNot(own) => own.any(is),
            Node::Binary { left, right, .. } => left.any(is) || right.any(is),
            Node::Conditional {
                condition,
                then,
                otherwise,
            } => condition.any(is) || then.any(is) || otherwise.any(is),
        }
    }

    /// Whether the value depends on the row.
    pub(super) fn mentions_policy(&self) -> bool {
        self.any(&|node| {
            matches!(
                node,
                Node::Policy { .. }
                    | Node::Eval { .. }
                    | Node::Match {
                        pattern: PatternSource::Policy { .. },
                        ..
                    }
            )
        })
    }

    /// Whether the value depends on the request. A rule of a row may.
    pub(super) fn mentions_request(&self) -> bool {
        self.any(&|node| matches!(node, Node::Request { .. } | Node::Eval { .. }))
    }
}

use super::matcher::Operator;
use super::node::{Node, PatternSource};
use super::role_graph::RoleGraph;

/// The most clauses a matcher is split into; what would be more is evaluated row by row.
const CLAUSES: usize = 16;
/// The most terms of a clause that rows are looked up by.
pub(super) const KEYS: usize = 4;

/// Terms that all have to hold: one of the alternatives that a matcher is made of.
#[derive(Debug, Default)]
pub(super) struct Clause {
    /// Terms before all others that do not depend on the row.
    pub(super) conditions: Vec<Node>,
    /// Terms that do not depend on the request: they choose rows when the policy is loaded.
    pub(super) filters: Vec<Node>,
    /// Terms that rows are looked up by.
    pub(super) keys: Vec<Key>,
    /// A term that finds rows by their pattern.
    pub(super) pattern: Option<PatternTerm>,
    /// The rest, evaluated on the rows found.
    pub(super) rest: Vec<Node>,
    /// Whether one term is the whole matcher: then it may be a number.
    pub(super) is_whole: bool,
}

/// A request value or an attribute of it.
#[derive(Clone, Debug)]
pub(super) struct RequestPlace {
    pub(super) field: usize,
    pub(super) path: Box<[Box<str>]>,
}

/// An equality with a policy field, or a role that the field names.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Equal {
        request: RequestPlace,
        policy: usize,
    },
    Role {
        graph: usize,
        member: RequestPlace,
        domain: Option<RequestPlace>,
        policy: usize,
    },
}

/// A request value that a policy field is a pattern for.
#[derive(Clone, Debug)]
pub(super) struct PatternTerm {
    pub(super) function: super::functions::Function,
    pub(super) request: RequestPlace,
    pub(super) policy: usize,
}

impl Key {
    pub(super) fn policy(&self) -> usize {
        match self {
            Key::Equal { policy, .. } | Key::Role { policy, .. } => *policy,
        }
    }
}

impl Clause {
    /// The alternatives of a matcher.
    pub(super) fn split(matcher: &Node, graphs: &[RoleGraph]) -> Vec<Self> {
        let alternatives = alternatives(matcher).unwrap_or_else(|| vec![vec![matcher]]);
        let is_whole = alternatives.len() == 1;
        alternatives
            .into_iter()
            .map(|terms| Self {
                is_whole: is_whole && terms.len() == 1,
                ..Self::new(&terms, graphs)
            })
            .collect()
    }

    /// Whether rows that are looked up need no further look.
    pub(super) fn is_settled(&self) -> bool {
        self.pattern.is_none() && self.rest.is_empty()
    }

    fn new(terms: &[&Node], graphs: &[RoleGraph]) -> Self {
        let mut clause = Self::default();
        let mut before = true;
        for term in terms {
            if !term.mentions_policy() {
                let to = if before {
                    &mut clause.conditions
                } else {
                    &mut clause.rest
                };
                to.push((*term).clone());
                continue;
            }
            before = false;
            if !term.mentions_request() {
                clause.filters.push((*term).clone());
            } else if let Some(key) = key(term, graphs).filter(|_| clause.keys.len() < KEYS) {
                clause.keys.push(key);
            } else if let Some(own) = pattern(term).filter(|_| clause.pattern.is_none()) {
                clause.pattern = Some(own);
            } else {
                clause.rest.push((*term).clone());
            }
        }
        clause
    }
}

/// `a && (b || c) || d` as its alternatives `a && b`, `a && c` and `d`; `None` when there are
/// too many.
fn alternatives(node: &Node) -> Option<Vec<Vec<&Node>>> {
    match node {
        Node::Binary {
            operator: Operator::Or,
            left,
            right,
        } => {
            let mut found = alternatives(left)?;
            found.extend(alternatives(right)?);
            (found.len() <= CLAUSES).then_some(found)
        }
        Node::Binary {
            operator: Operator::And,
            left,
            right,
        } => {
            let (left, right) = (alternatives(left)?, alternatives(right)?);
            if left.len() * right.len() > CLAUSES {
                return None;
            }
            let mut found = Vec::new();
            for own in &left {
                for other in &right {
                    found.push(own.iter().chain(other).copied().collect());
                }
            }
            Some(found)
        }
        other => Some(vec![vec![other]]),
    }
}

fn key(term: &Node, graphs: &[RoleGraph]) -> Option<Key> {
    match term {
        Node::Binary {
            operator: Operator::Equal,
            left,
            right,
        } => {
            let (request, policy) = both(left, right).or_else(|| both(right, left))?;
            Some(Key::Equal { request, policy })
        }
        Node::Role {
            graph,
            member,
            role,
            domain,
        } if graphs.get(*graph).is_some_and(RoleGraph::is_literal) => {
            let (member, policy) = both(member, role)?;
            let domain = match domain {
                None => None,
                Some(domain) => Some(place(domain)?),
            };
            Some(Key::Role {
                graph: *graph,
                member,
                domain,
                policy,
            })
        }
        _ => None,
    }
}

fn pattern(term: &Node) -> Option<PatternTerm> {
    match term {
        Node::Match {
            function,
            key,
            pattern: PatternSource::Policy { field },
        } if *function != super::functions::Function::IpMatch => Some(PatternTerm {
            function: *function,
            request: place(key)?,
            policy: *field,
        }),
        _ => None,
    }
}

fn both(request: &Node, policy: &Node) -> Option<(RequestPlace, usize)> {
    match policy {
        Node::Policy { field } => Some((place(request)?, *field)),
        _ => None,
    }
}

fn place(node: &Node) -> Option<RequestPlace> {
    match node {
        Node::Request { field, path } => Some(RequestPlace {
            field: *field,
            path: path.clone(),
        }),
        _ => None,
    }
}

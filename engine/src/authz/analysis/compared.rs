use std::collections::BTreeSet;

use crate::authz::clause::{Key, RequestPlace};
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::functions::{Function, Pattern};
use crate::authz::matcher::Operator;
use crate::authz::node::{Node, PatternSource};

/// A request value by its field, and the path of an attribute of it.
pub(super) type Place<'n> = (usize, &'n [Box<str>]);

/// What a matcher compares a request value with.
#[derive(Clone, Copy, Debug)]
pub(super) enum With<'n> {
    /// The value of a policy field.
    Field(usize),
    /// A role that a policy field names.
    Role {
        graph: usize,
        policy: usize,
        domain: Domain<'n>,
    },
    /// A pattern in a policy field.
    Pattern { function: Function, policy: usize },
    /// A constant.
    Text(&'n str),
    /// A constant.
    Number(f64),
    /// A role that the matcher names.
    NamedRole { graph: usize, role: &'n str },
    /// A pattern of the matcher.
    FixedPattern(&'n Pattern),
    /// Nothing: it is the domain that roles are looked up in.
    Domain { graph: usize },
}

/// Where a role is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Domain<'n> {
    /// The relation has no domains.
    None,
    /// In the domain of a request value.
    Request(Place<'n>),
    /// In the domain of a policy field.
    Policy(usize),
    /// In a domain that the matcher names.
    Text(&'n str),
    /// In one that is computed.
    Computed,
}

impl CompiledPolicy {
    /// The matcher, and the rules of rows that it evaluates.
    pub(super) fn expressions<'p>(&'p self, number: usize, matcher: &'p Matcher) -> Vec<&'p Node> {
        let mut rules: Vec<(u32, &Node)> = self
            .tables
            .get(matcher.table)
            .into_iter()
            .flat_map(|rows| &rows.rules)
            .filter(|((own, _), _)| *own == number)
            .map(|((_, cell), rule)| (*cell, rule))
            .collect();
        rules.sort_by_key(|(cell, _)| *cell);
        let mut found = vec![&matcher.node];
        found.extend(rules.into_iter().map(|(_, rule)| rule));
        found
    }

    /// Everything that request values are compared with, by the matcher and by rules.
    pub(super) fn comparisons<'p>(
        &'p self,
        number: usize,
        matcher: &'p Matcher,
    ) -> Vec<(Place<'p>, With<'p>)> {
        self.expressions(number, matcher)
            .into_iter()
            .flat_map(compared)
            .collect()
    }

    /// The policy fields that the first request value, the subject, is compared with.
    pub(super) fn subject_fields(&self, number: usize, matcher: &Matcher) -> BTreeSet<usize> {
        self.comparisons(number, matcher)
            .into_iter()
            .filter(|(place, _)| is_subject(*place))
            .filter_map(|(_, with)| match with {
                With::Field(policy) | With::Role { policy, .. } | With::Pattern { policy, .. } => {
                    Some(policy)
                }
                _ => None,
            })
            .collect()
    }

    /// The different values of a policy field, in the order the rows are looked at.
    pub(super) fn column(&self, table: usize, field: usize) -> Vec<u32> {
        let Some(rows) = self.tables.get(table) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        (0..rows.len())
            .filter_map(|row| rows.cell(row, field))
            .filter(|cell| seen.insert(*cell))
            .collect()
    }
}

/// Whether a place is the first request value itself.
pub(super) fn is_subject(place: Place<'_>) -> bool {
    is_value(0, place)
}

/// Whether a place is the request value `value` itself.
pub(super) fn is_value(value: usize, place: Place<'_>) -> bool {
    let (field, path) = place;
    field == value && path.is_empty()
}

/// The place as comparisons have it.
pub(super) fn place_of(place: &RequestPlace) -> Place<'_> {
    (place.field, &*place.path)
}

/// What the key of a clause compares.
pub(super) fn compared_by_key(key: &Key) -> (Place<'_>, With<'_>) {
    match key {
        Key::Equal { request, policy } => (place_of(request), With::Field(*policy)),
        Key::Role {
            graph,
            member,
            domain,
            policy,
        } => {
            let with = With::Role {
                graph: *graph,
                policy: *policy,
                domain: match domain {
                    Some(domain) => Domain::Request(place_of(domain)),
                    None => Domain::None,
                },
            };
            (place_of(member), with)
        }
    }
}

/// What an expression compares request values with, wherever in it.
pub(super) fn compared(node: &Node) -> Vec<(Place<'_>, With<'_>)> {
    let mut found = Vec::new();
    for part in parts(node) {
        match part {
            Node::Binary {
                operator:
                    Operator::Equal
                    | Operator::NotEqual
                    | Operator::Less
                    | Operator::LessOrEqual
                    | Operator::Greater
                    | Operator::GreaterOrEqual,
                left,
                right,
            } => {
                found.extend(sides(left, right));
                found.extend(sides(right, left));
            }
            Node::Binary {
                operator: Operator::In,
                left,
                right,
            } => {
                if let Node::List(elements) = &**right {
                    found.extend(elements.iter().filter_map(|element| sides(left, element)));
                }
            }
            Node::Match {
                function,
                key,
                pattern,
            } => {
                let with = match pattern {
                    PatternSource::Constant(pattern) => With::FixedPattern(pattern),
                    PatternSource::Policy { field } => With::Pattern {
                        function: *function,
                        policy: *field,
                    },
                };
                found.extend(place(key).map(|place| (place, with)));
            }
            Node::Role {
                graph,
                member,
                role,
                domain,
            } => {
                let with = match &**role {
                    Node::Policy { field } => Some(With::Role {
                        graph: *graph,
                        policy: *field,
                        domain: domain_of(domain.as_deref()),
                    }),
                    Node::Text(name) => Some(With::NamedRole {
                        graph: *graph,
                        role: name,
                    }),
                    _ => None,
                };
                found.extend(place(member).zip(with));
                let domain = domain.as_deref().and_then(place);
                found.extend(domain.map(|place| (place, With::Domain { graph: *graph })));
            }
            _ => {}
        }
    }
    found
}

/// An expression and all its parts.
pub(super) fn parts(node: &Node) -> Vec<&Node> {
    let mut found = vec![node];
    let mut at = 0;
    while let Some(part) = found.get(at).copied() {
        at += 1;
        match part {
            Node::Text(_)
            | Node::Number(_)
            | Node::Bool(_)
            | Node::Request { .. }
            | Node::Policy { .. }
            | Node::Eval { .. } => {}
            Node::Match { key, .. } => found.push(key),
            Node::KeyGet { arguments, .. } | Node::List(arguments) => {
                found.extend(arguments.iter());
            }
            Node::Role {
                member,
                role,
                domain,
                ..
            } => {
                found.extend([&**member, &**role]);
                found.extend(domain.as_deref());
            }
            Node::Not(own) | Node::Negate(own) | Node::BitNot(own) => found.push(own),
            Node::Binary { left, right, .. } => found.extend([&**left, &**right]),
            Node::Conditional {
                condition,
                then,
                otherwise,
            } => found.extend([&**condition, &**then, &**otherwise]),
        }
    }
    found
}

/// The policy fields that an expression looks at.
pub(super) fn policy_fields(node: &Node) -> Vec<usize> {
    parts(node)
        .into_iter()
        .filter_map(|part| match part {
            Node::Policy { field }
            | Node::Eval { field }
            | Node::Match {
                pattern: PatternSource::Policy { field },
                ..
            } => Some(*field),
            _ => None,
        })
        .collect()
}

fn sides<'n>(own: &'n Node, other: &'n Node) -> Option<(Place<'n>, With<'n>)> {
    let with = match other {
        Node::Policy { field } => With::Field(*field),
        Node::Text(text) => With::Text(text),
        Node::Number(number) => With::Number(*number),
        _ => return None,
    };
    Some((place(own)?, with))
}

fn place(node: &Node) -> Option<Place<'_>> {
    match node {
        Node::Request { field, path } => Some((*field, &**path)),
        _ => None,
    }
}

fn domain_of(node: Option<&Node>) -> Domain<'_> {
    match node {
        None => Domain::None,
        Some(Node::Request { field, path }) => Domain::Request((*field, &**path)),
        Some(Node::Policy { field }) => Domain::Policy(*field),
        Some(Node::Text(text)) => Domain::Text(text),
        Some(_) => Domain::Computed,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Source, compile};

    const MODEL: &str = "[request_definition]\nr = sub, dom, obj\n[policy_definition]\n\
        p = sub, dom, obj, rule\n[role_definition]\ng = _, _, _\n[policy_effect]\n\
        e = some(where (p.eft == allow))\n[matchers]\n\
        m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch(r.obj, p.obj) && eval(p.rule) \
        || r.sub == \"root\"\n";

    #[test]
    fn everything_that_is_compared() {
        let model = Source {
            name: "m",
            text: MODEL,
        };
        let rules = Source {
            name: "r",
            text: "p, a, d, /x, r.obj == '/y'\n",
        };
        let policy = compile(model, &[rules]).unwrap();
        let (number, matcher) = policy.matcher("").unwrap();
        let found: Vec<String> = policy
            .comparisons(number, matcher)
            .into_iter()
            .map(|((field, _), with)| format!("{field} {with:?}"))
            .collect();
        for expected in [
            "0 Role { graph: 0, policy: 0, domain: Request((1, [])) }",
            "0 Text(\"root\")",
            "1 Domain { graph: 0 }",
            "1 Field(1)",
            "2 Pattern { function: KeyMatch, policy: 2 }",
            "2 Text(\"/y\")",
        ] {
            assert!(found.iter().any(|own| own == expected), "{found:?}");
        }
        assert_eq!(found.len(), 6, "{found:?}");
        let subjects: Vec<usize> = policy.subject_fields(number, matcher).into_iter().collect();
        assert_eq!(subjects, [0]);
    }
}

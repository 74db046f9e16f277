use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::compared::{With, is_subject, parts};
use super::lint::{Report, Severity};
use super::lint_patterns;
use crate::authz::compiled::CompiledPolicy;
use crate::authz::functions::Pattern;
use crate::authz::node::Node;
use crate::authz::role_graph::{GraphLink, HOPS, RoleGraph};
use crate::policy::Origin;

/// The most circles that are reported of one relation.
const CIRCLES: usize = 100;

/// Looks at the role relations; tells for each whether roles are out of Casbin's reach in it.
pub(super) fn check(policy: &CompiledPolicy, report: &mut Report<'_>) -> Vec<bool> {
    let mut deep = Vec::new();
    for (index, graph) in policy.graphs.iter().enumerate() {
        let relation = policy.relations.get(index).map_or("g", String::as_str);
        unused(policy, index, graph, report);
        circles(policy, relation, graph, report);
        deep.push(out_of_reach(policy, graph, report));
        patterns(policy, graph, report);
    }
    deep
}

/// Looks for subjects that nobody is known to be.
pub(super) fn check_subjects(
    policy: &CompiledPolicy,
    known_roles: &[&str],
    report: &mut Report<'_>,
) {
    let grouped: HashSet<u32> = policy
        .graphs
        .iter()
        .flat_map(RoleGraph::links)
        .flat_map(|link| [link.member, link.role])
        .collect();
    let mut first: BTreeMap<&str, u32> = BTreeMap::new();
    for (number, matcher) in policy.matchers.iter().enumerate() {
        let Some(rows) = policy.tables.get(matcher.table) else {
            continue;
        };
        let literal = |graph: usize| policy.graphs.get(graph).is_some_and(RoleGraph::is_literal);
        let fields: BTreeSet<usize> = policy
            .comparisons(number, matcher)
            .into_iter()
            .filter(|(place, _)| is_subject(*place))
            .filter_map(|(_, with)| match with {
                With::Field(field) => Some(field),
                With::Role {
                    graph,
                    policy: field,
                    ..
                } if literal(graph) => Some(field),
                _ => None,
            })
            .collect();
        for field in fields {
            for row in 0..rows.len() {
                let (Some(cell), Some(index)) = (rows.cell(row, field), rows.origins.get(row))
                else {
                    continue;
                };
                let subject = policy.symbols.text(cell);
                if subject.starts_with("role:") && !grouped.contains(&cell) {
                    let place = first.entry(subject).or_insert(*index);
                    *place = (*place).min(*index);
                }
            }
        }
    }
    for (subject, index) in first {
        let name = subject.strip_prefix("role:").unwrap_or(subject);
        if known_roles
            .iter()
            .any(|own| *own == subject || *own == name)
        {
            continue;
        }
        report.add(
            "unknown_role",
            Severity::Warning,
            policy.origins.get(index as usize).copied(),
            format!("no token is known to have `{subject}`, and no grouping names it"),
        );
    }
}

/// Roles that lead nowhere.
fn unused(policy: &CompiledPolicy, index: usize, graph: &RoleGraph, report: &mut Report<'_>) {
    let Some(named) = named_roles(policy, index).filter(|_| graph.is_literal()) else {
        return;
    };
    let members: HashSet<u32> = graph.links().iter().map(|link| link.member).collect();
    let mut seen = HashSet::new();
    for link in graph.links() {
        let role = policy.symbols.text(link.role);
        if members.contains(&link.role) || named.contains(role) || !seen.insert(link.role) {
            continue;
        }
        report.add(
            "unused_role",
            Severity::Warning,
            Some(link.origin),
            format!("role `{role}` gives nothing: no row names it and it has no further roles"),
        );
    }
}

/// The roles that matchers ask a relation for; `None` when nobody asks, or when it cannot be told
/// before a request comes.
fn named_roles(policy: &CompiledPolicy, index: usize) -> Option<BTreeSet<&str>> {
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut asked = false;
    for (number, matcher) in policy.matchers.iter().enumerate() {
        for part in policy
            .expressions(number, matcher)
            .into_iter()
            .flat_map(parts)
        {
            let Node::Role { graph, role, .. } = part else {
                continue;
            };
            if *graph != index {
                continue;
            }
            asked = true;
            match &**role {
                Node::Policy { field } => {
                    let column = policy.column(matcher.table, *field);
                    named.extend(column.into_iter().map(|cell| policy.symbols.text(cell)));
                }
                Node::Text(text) => {
                    named.insert(text);
                }
                _ => return None,
            }
        }
    }
    asked.then_some(named)
}

/// Roles that go in a circle.
fn circles(policy: &CompiledPolicy, relation: &str, graph: &RoleGraph, report: &mut Report<'_>) {
    for (circle, origin) in found_circles(graph.links()) {
        let names: Vec<&str> = circle
            .iter()
            .map(|name| policy.symbols.text(*name))
            .collect();
        let way = names.join("` -> `");
        // A role that has itself is odd and changes nothing.
        let (severity, message) = match names.as_slice() {
            [_, _] => (
                Severity::Note,
                format!("`{way}`: it has itself in any case"),
            ),
            _ => (
                Severity::Error,
                format!(
                    "`{way}` in `{relation}` is a circle: each of these roles gives what all give"
                ),
            ),
        };
        report.add("role_cycle", severity, Some(origin), message);
    }
}

/// A name in a domain.
type Name = (u32, u32);

struct Edge {
    from: Name,
    to: Name,
    origin: Origin,
}

/// Circles with the first link of each; every name that is in a circle is in one of these, up to
/// the limit.
fn found_circles(links: &[GraphLink]) -> Vec<(Vec<u32>, Origin)> {
    let edges: Vec<Edge> = links
        .iter()
        .map(|link| Edge {
            from: (link.domain, link.member),
            to: (link.domain, link.role),
            origin: link.origin,
        })
        .collect();
    // What leads into no circle, and what comes out of none, is taken off.
    let edges = without_ends(edges);
    let backwards = edges.into_iter().map(turned).collect();
    let edges: Vec<Edge> = without_ends(backwards).into_iter().map(turned).collect();
    let mut ways: HashMap<Name, Vec<Name>> = HashMap::new();
    for edge in &edges {
        ways.entry(edge.from).or_default().push(edge.to);
    }
    let mut reported: HashSet<Name> = HashSet::new();
    let mut found = Vec::new();
    for edge in &edges {
        if found.len() == CIRCLES {
            break;
        }
        if reported.contains(&edge.from) && reported.contains(&edge.to) {
            continue;
        }
        let Some(back) = shortest(&ways, edge.to, edge.from) else {
            continue;
        };
        reported.extend(&back);
        let circle = std::iter::once(edge.from).chain(back);
        found.push((circle.map(|(_, name)| name).collect(), edge.origin));
    }
    found
}

fn turned(edge: Edge) -> Edge {
    Edge {
        from: edge.to,
        to: edge.from,
        origin: edge.origin,
    }
}

/// The links from which one can go on for ever.
fn without_ends(edges: Vec<Edge>) -> Vec<Edge> {
    let mut left: HashMap<Name, usize> = HashMap::new();
    let mut into: HashMap<Name, Vec<Name>> = HashMap::new();
    for edge in &edges {
        *left.entry(edge.from).or_default() += 1;
        left.entry(edge.to).or_default();
        into.entry(edge.to).or_default().push(edge.from);
    }
    let mut ends: Vec<Name> = left
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    while let Some(end) = ends.pop() {
        for from in into.get(&end).into_iter().flatten() {
            if let Some(count) = left.get_mut(from) {
                *count -= 1;
                if *count == 0 {
                    ends.push(*from);
                }
            }
        }
    }
    edges
        .into_iter()
        .filter(|edge| left.get(&edge.to).is_some_and(|count| *count > 0))
        .collect()
}

/// The names on a shortest way, both ends included.
fn shortest(ways: &HashMap<Name, Vec<Name>>, start: Name, target: Name) -> Option<Vec<Name>> {
    let mut came_from: HashMap<Name, Name> = HashMap::new();
    let mut frontier = vec![start];
    while start != target && !came_from.contains_key(&target) {
        let mut next = Vec::new();
        for name in frontier {
            for to in ways.get(&name).into_iter().flatten() {
                if *to != start && !came_from.contains_key(to) {
                    came_from.insert(*to, name);
                    next.push(*to);
                }
            }
        }
        if next.is_empty() {
            return None;
        }
        frontier = next;
    }
    let mut way = vec![target];
    let mut at = target;
    while at != start {
        at = *came_from.get(&at)?;
        way.push(at);
    }
    way.reverse();
    Some(way)
}

/// Roles that some member has over more links than Casbin follows; whether there are any.
fn out_of_reach(policy: &CompiledPolicy, graph: &RoleGraph, report: &mut Report<'_>) -> bool {
    struct Lost {
        members: usize,
        member: u32,
        last: u32,
    }
    if !graph.is_literal() {
        return false;
    }
    let members: BTreeSet<Name> = graph
        .links()
        .iter()
        .map(|link| (link.domain, link.member))
        .collect();
    let mut lost: BTreeMap<Name, Lost> = BTreeMap::new();
    for (domain, member) in members {
        let reached = graph.roles(member, domain).unwrap_or_default();
        let mut seen = HashSet::new();
        for last in reached {
            for role in graph.direct(*last, domain) {
                if reached.binary_search(role).is_ok() || !seen.insert(*role) {
                    continue;
                }
                let own = lost.entry((domain, *role)).or_insert(Lost {
                    members: 0,
                    member,
                    last: *last,
                });
                own.members += 1;
            }
        }
    }
    for ((domain, role), own) in &lost {
        let mut links = graph.links().iter();
        let link =
            links.find(|link| (link.domain, link.member, link.role) == (*domain, own.last, *role));
        let others = match own.members {
            1 => String::new(),
            count => format!(" (nor do {} others)", count - 1),
        };
        report.add(
            "hop_limit",
            Severity::Error,
            link.map(|link| link.origin),
            format!(
                "`{}` does not have `{}`{others}: it is more than {HOPS} links away",
                policy.symbols.text(own.member),
                policy.symbols.text(*role)
            ),
        );
    }
    !lost.is_empty()
}

/// Names that are patterns.
fn patterns(policy: &CompiledPolicy, graph: &RoleGraph, report: &mut Report<'_>) {
    let Some(function) = graph.names() else {
        return;
    };
    let mut seen = HashSet::new();
    for link in graph.links() {
        for name in [link.member, link.role] {
            let text = policy.symbols.text(name);
            if !seen.insert(name) {
                continue;
            }
            if let Ok(pattern) = Pattern::compile(function, text) {
                let origin = Some(link.origin);
                lint_patterns::check(function, text, &pattern, false, origin, report);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::authz::CompileOptions;
    use crate::policy::{BASELINE_MODEL, Source, compile_with};

    fn lint(rules: &str, options: &CompileOptions) -> Vec<String> {
        let model = Source {
            name: "m",
            text: BASELINE_MODEL,
        };
        let rules = Source {
            name: "r",
            text: rules,
        };
        let policy = compile_with(model, &[rules], options).unwrap();
        policy
            .lint(&["known"])
            .into_iter()
            .map(|own| {
                format!(
                    "{} {} {} {}",
                    own.line,
                    own.severity.name(),
                    own.code,
                    own.message
                )
            })
            .collect()
    }

    #[test]
    fn unknown_and_unused() {
        let rules = "p, role:known, a, b\np, role:typo, a, b\np, role:typo, a, c\n\
            p, role:grouped, a, b\ng, ann, role:grouped\ng, bob, role:nothing\n\
            g, cid, role:nothing\ng, role:nothing2, role:grouped\n";
        assert_eq!(
            lint(rules, &CompileOptions::default()),
            [
                "2 warning unknown_role no token is known to have `role:typo`, and no grouping \
                 names it",
                "6 warning unused_role role `role:nothing` gives nothing: no row names it and it \
                 has no further roles",
            ]
        );
    }

    #[test]
    fn circles() {
        let rules = "p, d, x, y\ng, in, a\ng, a, b\ng, b, c\ng, c, a\ng, b, d\ng, d, d\n\
            g, c, e\ng, e, f\ng, f, e\ng, f, d\n";
        assert_eq!(
            lint(rules, &CompileOptions::default()),
            [
                "3 error role_cycle `a` -> `b` -> `c` -> `a` in `g` is a circle: each of these \
                 roles gives what all give",
                "7 note role_cycle `d` -> `d`: it has itself in any case",
                "9 error role_cycle `e` -> `f` -> `e` in `g` is a circle: each of these roles \
                 gives what all give",
            ]
        );
    }

    #[test]
    fn hop_limit() {
        let chain = |length: usize| -> String {
            let links: String = (0..length)
                .map(|link| format!("g, r{link}, r{}\n", link + 1))
                .collect();
            format!("p, r{length}, x, y\n{links}")
        };
        assert!(lint(&chain(10), &CompileOptions::default()).is_empty());
        assert_eq!(
            lint(&chain(12), &CompileOptions::default()),
            [
                "12 error hop_limit `r0` does not have `r11`: it is more than 10 links away",
                "13 error hop_limit `r1` does not have `r12`: it is more than 10 links away",
            ]
        );
    }

    #[test]
    fn patterns_of_roles() {
        let mut options = CompileOptions::default();
        options
            .role_matching
            .insert("g".to_owned(), "keyMatch".to_owned());
        let found = lint(
            "p, admin, x, y\ng, *, admin\ng, team/*/x, admin\n",
            &options,
        );
        assert_eq!(
            found,
            [
                "2 warning broad_pattern pattern `*` of `keyMatch` matches everything",
                "3 warning unreachable_pattern_text `keyMatch` looks at `team/*/x` up to its \
                 first `*`: all that begins with `team/` matches, whatever stands for `/x`",
            ]
        );
    }
}

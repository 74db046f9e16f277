use std::collections::BTreeSet;
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

use crate::authz::compiled::CompiledPolicy;
use crate::authz::role_graph::HOPS;

/// Who has the roles of a policy: the relation read backwards.
pub(super) struct Members<'p> {
    policy: &'p CompiledPolicy,
    /// By relation, the members that links give to a role in a domain.
    backwards: Vec<HashMap<(u32, u32), Vec<u32>>>,
    found: HashMap<(usize, &'p str, String), Rc<[&'p str]>>,
}

impl<'p> Members<'p> {
    pub(super) fn new(policy: &'p CompiledPolicy) -> Self {
        let backwards = policy
            .graphs
            .iter()
            .map(|graph| {
                let mut members: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
                for link in graph.links() {
                    let role = (link.role, link.domain);
                    members.entry(role).or_default().push(link.member);
                }
                members
            })
            .collect();
        Self {
            policy,
            backwards,
            found: HashMap::new(),
        }
    }

    /// Everybody who counts as `role` in `domain`, itself included, sorted.
    pub(super) fn of(&mut self, graph: usize, role: &'p str, domain: &str) -> Rc<[&'p str]> {
        let question = (graph, role, domain.to_owned());
        if let Some(found) = self.found.get(&question) {
            return Rc::clone(found);
        }
        let found: Rc<[&'p str]> = self.look(graph, role, domain).into_iter().collect();
        self.found.insert(question, Rc::clone(&found));
        found
    }

    fn look(&self, graph: usize, role: &'p str, domain: &str) -> BTreeSet<&'p str> {
        let symbols = &self.policy.symbols;
        let mut found = BTreeSet::from([role]);
        let Some(own) = self.policy.graphs.get(graph) else {
            return found;
        };
        if !own.is_literal() {
            let covered = |name: &&str| own.has_link(name, role, domain, symbols);
            found.extend(names(self.policy, graph).into_iter().filter(covered));
            return found;
        }
        let domain = match own.has_domains() {
            true => symbols.get(domain),
            false => Some(0),
        };
        let (Some(start), Some(domain)) = (symbols.get(role), domain) else {
            return found;
        };
        let mut seen: HashSet<u32> = HashSet::from([start]);
        let mut frontier = vec![start];
        for _ in 0..HOPS {
            let members = frontier
                .iter()
                .filter_map(|name| self.backwards.get(graph)?.get(&(*name, domain)))
                .flatten();
            let next: Vec<u32> = members.copied().filter(|own| seen.insert(*own)).collect();
            frontier = next;
        }
        found.extend(seen.into_iter().map(|name| symbols.text(name)));
        found
    }
}

/// Every member and role of a relation.
pub(super) fn names(policy: &CompiledPolicy, graph: usize) -> BTreeSet<&str> {
    policy
        .graphs
        .get(graph)
        .into_iter()
        .flat_map(|own| own.links())
        .flat_map(|link| [link.member, link.role])
        .map(|name| policy.symbols.text(name))
        .collect()
}

/// Every domain of a relation.
pub(super) fn domains(policy: &CompiledPolicy, graph: usize) -> BTreeSet<&str> {
    policy
        .graphs
        .get(graph)
        .into_iter()
        .flat_map(|own| own.links())
        .map(|link| policy.symbols.text(link.domain))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::CompileOptions;
    use crate::policy::{BASELINE_MODEL, Source, compile_with};

    #[test]
    fn as_the_relation_answers() {
        let mut rules: String = (0..14)
            .map(|link| format!("g, r{link}, r{}\n", link + 1))
            .collect();
        rules.push_str("g, r3, r1\ng, a*, r14\np, a, b, c\n");
        let mut options = CompileOptions::default();
        for patterns in [false, true] {
            if patterns {
                options
                    .role_matching
                    .insert("g".to_owned(), "keyMatch".to_owned());
            }
            let model = Source {
                name: "m",
                text: BASELINE_MODEL,
            };
            let source = Source {
                name: "r",
                text: &rules,
            };
            let policy = compile_with(model, &[source], &options).unwrap();
            let mut members = Members::new(&policy);
            let every: Vec<&str> = names(&policy, 0).into_iter().collect();
            assert_eq!(every.len(), 16);
            for role in every.iter().copied() {
                let expected: Vec<&str> = every
                    .iter()
                    .copied()
                    .filter(|name| policy.graphs[0].has_link(name, role, "", &policy.symbols))
                    .collect();
                assert_eq!(*members.of(0, role, ""), expected, "{role}");
            }
        }
    }
}

use hashbrown::{HashMap, HashSet};

use super::functions::{Function, Pattern};
use super::symbols::Symbols;
use crate::policy::Origin;

/// Casbin follows at most this many role links.
pub(super) const HOPS: usize = 10;
/// The most members and roles that all closures together may have: what is reached within ten
/// links can be far more than the links.
const REACHED: usize = 20_000_000;

/// A role relation: who has which role, in which domain.
#[derive(Debug)]
pub(super) struct RoleGraph {
    has_domains: bool,
    /// Whom names stand for, when they are patterns.
    names: Option<Function>,
    domains: Option<Function>,
    /// The roles of each member in each domain; the domain is 0 where there are none.
    direct: HashMap<(u32, u32), Vec<u32>>,
    /// For every member: itself and all roles within ten links. Only of literal relations.
    reached: HashMap<(u32, u32), Box<[u32]>>,
    patterns: HashMap<u32, Pattern>,
    /// Every domain with links, and its pattern.
    every_domain: Vec<(u32, Option<Pattern>)>,
    /// The links as they were read, for reports.
    links: Box<[GraphLink]>,
}

/// One link.
#[derive(Clone, Copy, Debug)]
pub(super) struct GraphLink {
    pub(super) member: u32,
    pub(super) role: u32,
    pub(super) domain: u32,
    /// The line it is in.
    pub(super) origin: Origin,
}

/// Why a relation was refused.
#[derive(Debug)]
pub(super) enum GraphError {
    /// The name or domain at this link is not a pattern.
    Pattern(usize, String),
    /// Too much is reached by too many.
    TooLarge,
}

impl RoleGraph {
    pub(super) fn new(
        links: Vec<GraphLink>,
        has_domains: bool,
        names: Option<Function>,
        domains: Option<Function>,
        symbols: &Symbols,
    ) -> Result<Self, GraphError> {
        let mut graph = Self {
            has_domains,
            names,
            domains: domains.filter(|_| has_domains),
            direct: HashMap::new(),
            reached: HashMap::new(),
            patterns: HashMap::new(),
            every_domain: Vec::new(),
            links: Box::default(),
        };
        for (index, link) in links.iter().enumerate() {
            let roles = graph.direct.entry((link.member, link.domain)).or_default();
            if !roles.contains(&link.role) {
                roles.push(link.role);
            }
            let compile = |function: Function, symbol: u32| {
                Pattern::compile(function, symbols.text(symbol))
                    .map_err(|error| GraphError::Pattern(index, error.to_string()))
            };
            if let Some(function) = graph.names {
                for name in [link.member, link.role] {
                    if !graph.patterns.contains_key(&name) {
                        graph.patterns.insert(name, compile(function, name)?);
                    }
                }
            }
            if graph.domains.is_some()
                && !graph
                    .every_domain
                    .iter()
                    .any(|(own, _)| *own == link.domain)
            {
                let pattern = graph
                    .domains
                    .map(|own| compile(own, link.domain))
                    .transpose()?;
                graph.every_domain.push((link.domain, pattern));
            }
        }
        if graph.is_literal() {
            graph.close()?;
        }
        graph.links = links.into();
        Ok(graph)
    }

    /// Whether names and domains stand for themselves only: then [`RoleGraph::roles`] has all.
    pub(super) fn is_literal(&self) -> bool {
        self.names.is_none() && self.domains.is_none()
    }

    pub(super) fn has_domains(&self) -> bool {
        self.has_domains
    }

    /// The function that names are patterns of.
    pub(super) fn names(&self) -> Option<Function> {
        self.names
    }

    /// The links in the order they were read, repeated ones included.
    pub(super) fn links(&self) -> &[GraphLink] {
        &self.links
    }

    /// The roles that links give to `member` in `domain`.
    pub(super) fn direct(&self, member: u32, domain: u32) -> &[u32] {
        self.direct
            .get(&(member, domain))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// What `member` counts as in `domain`, itself included; `None` when only as itself.
    pub(super) fn roles(&self, member: u32, domain: u32) -> Option<&[u32]> {
        self.reached.get(&(member, domain)).map(AsRef::as_ref)
    }

    /// Casbin's `g(member, role)`.
    pub(super) fn has_link(
        &self,
        member: &str,
        role: &str,
        domain: &str,
        symbols: &Symbols,
    ) -> bool {
        if member == role {
            return true;
        }
        if !self.is_literal() {
            return Search::new(self, symbols, member, role, domain).has_link();
        }
        let (Some(member), Some(role)) = (symbols.get(member), symbols.get(role)) else {
            return false;
        };
        let domain = if self.has_domains {
            match symbols.get(domain) {
                Some(domain) => domain,
                None => return false,
            }
        } else {
            0
        };
        self.roles(member, domain)
            .is_some_and(|roles| roles.binary_search(&role).is_ok())
    }

    /// The links on a shortest way from `member` to `role`, both included, for explanations.
    pub(super) fn path(
        &self,
        member: &str,
        role: &str,
        domain: &str,
        symbols: &Symbols,
    ) -> Vec<String> {
        if !self.is_literal() || member == role {
            let mut ends = vec![member.to_owned()];
            if member != role {
                ends.push(role.to_owned());
            }
            return ends;
        }
        let domain = if self.has_domains {
            symbols.get(domain).unwrap_or(u32::MAX)
        } else {
            0
        };
        let (Some(start), Some(target)) = (symbols.get(member), symbols.get(role)) else {
            return Vec::new();
        };
        let mut came_from: HashMap<u32, u32> = HashMap::new();
        let mut frontier = vec![start];
        for _ in 0..HOPS {
            let mut next = Vec::new();
            for own in frontier {
                for role in self.direct.get(&(own, domain)).into_iter().flatten() {
                    if *role != start && !came_from.contains_key(role) {
                        came_from.insert(*role, own);
                        next.push(*role);
                    }
                }
            }
            frontier = next;
        }
        let mut way = vec![symbols.text(target).to_owned()];
        let mut at = target;
        while at != start {
            match came_from.get(&at) {
                Some(before) => at = *before,
                None => return Vec::new(),
            }
            way.push(symbols.text(at).to_owned());
        }
        way.reverse();
        way
    }

    /// The bytes it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self.direct.values().map(|roles| roles.capacity() * 4).sum();
        let reached: usize = self.reached.values().map(|roles| roles.len() * 4).sum();
        let links = self.links.len() * size_of::<GraphLink>();
        lists + reached + links + self.direct.allocation_size() + self.reached.allocation_size()
    }

    fn close(&mut self) -> Result<(), GraphError> {
        let mut total = 0;
        let mut seen = HashSet::new();
        let mut frontier = Vec::new();
        let mut next = Vec::new();
        for (member, domain) in self.direct.keys() {
            seen.clear();
            seen.insert(*member);
            frontier.clear();
            frontier.push(*member);
            for _ in 0..HOPS {
                next.clear();
                for own in &frontier {
                    for role in self.direct.get(&(*own, *domain)).into_iter().flatten() {
                        if seen.insert(*role) {
                            next.push(*role);
                        }
                    }
                }
                std::mem::swap(&mut frontier, &mut next);
                if frontier.is_empty() {
                    break;
                }
            }
            total += seen.len();
            if total > REACHED {
                return Err(GraphError::TooLarge);
            }
            let mut reached: Box<[u32]> = seen.iter().copied().collect();
            reached.sort_unstable();
            self.reached.insert((*member, *domain), reached);
        }
        Ok(())
    }
}

/// One question to a relation with patterns: as Casbin's role manager answers it, with the two
/// names asked about among the others.
struct Search<'g> {
    graph: &'g RoleGraph,
    symbols: &'g Symbols,
    target: &'g str,
    start: &'g str,
    /// The domains whose links count.
    domains: Vec<u32>,
    /// Compiled names that are in no link.
    target_pattern: Option<Pattern>,
}

impl<'g> Search<'g> {
    fn new(
        graph: &'g RoleGraph,
        symbols: &'g Symbols,
        member: &'g str,
        role: &'g str,
        domain: &'g str,
    ) -> Self {
        let domains = match (graph.has_domains, &graph.domains) {
            (false, _) => vec![0],
            (true, None) => symbols.get(domain).into_iter().collect(),
            (true, Some(_)) => graph
                .every_domain
                .iter()
                .filter(|(own, pattern)| {
                    symbols.text(*own) == domain
                        || pattern
                            .as_ref()
                            .is_some_and(|own| own.matches(domain) == Ok(true))
                })
                .map(|(own, _)| *own)
                .collect(),
        };
        Self {
            target_pattern: graph
                .names
                .and_then(|function| Pattern::compile(function, role).ok()),
            graph,
            symbols,
            target: role,
            start: member,
            domains,
        }
    }

    fn has_link(&self) -> bool {
        let mut frontier: HashSet<&str> = HashSet::from([self.start]);
        for _ in 0..=HOPS {
            if frontier.iter().any(|name| self.is_target(name)) {
                return true;
            }
            let mut next = HashSet::new();
            for name in &frontier {
                self.step(name, &mut next);
            }
            if next.is_empty() {
                return false;
            }
            frontier = next;
        }
        false
    }

    fn is_target(&self, name: &str) -> bool {
        name == self.target
            || self
                .target_pattern
                .as_ref()
                .is_some_and(|own| own.matches(name) == Ok(true))
    }

    /// The roles of `name`, the names those stand for, and the roles of patterns that stand for
    /// `name`.
    fn step(&self, name: &str, next: &mut HashSet<&'g str>) {
        let own = self.symbols.get(name);
        for role in own.into_iter().flat_map(|own| self.direct(own)) {
            next.insert(self.symbols.text(role));
            if let Some(pattern) = self.graph.patterns.get(&role) {
                let covered = |other: &&str| pattern.matches(other) == Ok(true);
                next.extend(self.every_name().filter(covered));
            }
        }
        for (member, pattern) in &self.graph.patterns {
            if Some(*member) != own && pattern.matches(name) == Ok(true) {
                next.extend(self.direct(*member).map(|role| self.symbols.text(role)));
            }
        }
    }

    fn direct(&self, member: u32) -> impl Iterator<Item = u32> {
        self.domains
            .iter()
            .filter_map(move |domain| self.graph.direct.get(&(member, *domain)))
            .flatten()
            .copied()
    }

    fn every_name(&self) -> impl Iterator<Item = &'g str> {
        let symbols = self.symbols;
        self.graph
            .patterns
            .keys()
            .map(|name| symbols.text(*name))
            .chain([self.start, self.target])
    }
}

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::compared::policy_fields;
use super::lint::{Report, Severity};
use super::lint_table::Table;
use crate::authz::clause::{Clause, Key, RequestPlace};
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::functions::{Function, Pattern};
use crate::authz::node::{Node, PatternSource};
use crate::authz::pattern_index::whole_segments;
use crate::authz::role_graph::RoleGraph;

/// How many pairs of rows are compared at most.
const PAIRS: usize = 20_000_000;

/// Finds rows that say nothing: every request that matches one matches another row too, which
/// has the same effect or, where the first row decides, comes before it.
///
/// `chosen` has the clauses of each row, and `dead` rows are left out.
pub(super) fn shadowed(
    table: &Table<'_>,
    matcher: &Matcher,
    chosen: &[u32],
    dead: &[bool],
    deep: &[bool],
    report: &mut Report<'_>,
) {
    let search = Search::new(table, matcher, chosen, dead, deep);
    let mut left = PAIRS;
    for row in table.in_order() {
        if search.is_dead(row) {
            continue;
        }
        let Some(shadow) = search.shadow(row, &mut left) else {
            if left > 0 {
                continue;
            }
            let message = "there are too many patterns to compare all rows behind this one";
            table.add(
                "not_compared",
                Severity::Note,
                row,
                message.to_owned(),
                report,
            );
            return;
        };
        let (own, other) = (table.shown(row), table.placed(shadow));
        let denies = table.rows.denies(row);
        if !search.first_match {
            let message = format!("{own} adds nothing: {other} covers it");
            table.add("shadowed_row", Severity::Warning, row, message, report);
        } else if denies == table.rows.denies(shadow) {
            let message = format!("{own} never decides: {other} covers it and comes before");
            table.add("shadowed_row", Severity::Warning, row, message, report);
        } else {
            let severity = if denies {
                Severity::Error
            } else {
                Severity::Warning
            };
            let message = format!("{own} never decides: {other} comes before, with another effect");
            table.add("dead_row", severity, row, message, report);
        }
    }
}

/// What each term of a clause asks of two rows, for the one to cover the other.
#[derive(Debug, Default)]
struct Terms {
    /// Fields that have to be the same.
    same: BTreeSet<usize>,
    roles: Vec<RoleTerm>,
    patterns: Vec<(Function, usize)>,
}

/// The one's role has to be had by the other's, in the domain of a field that is the same.
#[derive(Clone, Copy, Debug)]
struct RoleTerm {
    graph: usize,
    policy: usize,
    domain: Option<usize>,
}

struct Search<'t> {
    table: &'t Table<'t>,
    clauses: Vec<Terms>,
    chosen: &'t [u32],
    dead: &'t [bool],
    first_match: bool,
    /// Fields that are the same in every row that may cover another.
    fixed: Vec<usize>,
    roles: Vec<usize>,
    patterns: Vec<usize>,
    groups: HashMap<Group, Covering>,
}

/// The values of the fixed fields and of the roles, and the effect where it has to be the same.
type Group = (Vec<u32>, Vec<u32>, Option<bool>);

/// Rows of one group.
#[derive(Debug, Default)]
struct Covering {
    /// The first row for each combination of patterns.
    first: HashMap<Vec<u32>, usize>,
    /// Those of them that match more than one key.
    wide: Vec<usize>,
}

impl<'t> Search<'t> {
    fn new(
        table: &'t Table<'t>,
        matcher: &Matcher,
        chosen: &'t [u32],
        dead: &'t [bool],
        deep: &[bool],
    ) -> Self {
        let clauses: Vec<Terms> = matcher
            .clauses
            .iter()
            .map(|(clause, _)| Terms::new(clause, table.policy, deep))
            .collect();
        let same: BTreeSet<usize> = clauses.iter().flat_map(|own| &own.same).copied().collect();
        let in_roles: BTreeSet<usize> = clauses
            .iter()
            .flat_map(|own| &own.roles)
            .map(|term| term.policy)
            .collect();
        let in_patterns: BTreeSet<usize> = clauses
            .iter()
            .flat_map(|own| &own.patterns)
            .map(|(_, field)| *field)
            .collect();
        let both: BTreeSet<usize> = in_roles.intersection(&in_patterns).copied().collect();
        let fixed: BTreeSet<usize> = same.union(&both).copied().collect();
        let mut search = Self {
            table,
            clauses,
            chosen,
            dead,
            first_match: matcher.effect.is_first_match(),
            roles: in_roles.difference(&fixed).copied().collect(),
            patterns: in_patterns.difference(&fixed).copied().collect(),
            fixed: fixed.into_iter().collect(),
            groups: HashMap::new(),
        };
        let order = if search.first_match {
            (0..table.rows.len()).collect()
        } else {
            table.in_order()
        };
        for row in order {
            if search.is_dead(row) {
                continue;
            }
            let group = search.group(row, search.values(row, &search.roles));
            let patterns = search.values(row, &search.patterns);
            let is_wide = search.is_wide(row);
            let covering = search.groups.entry(group).or_default();
            if let Entry::Vacant(first) = covering.first.entry(patterns) {
                first.insert(row);
                if is_wide {
                    covering.wide.push(row);
                }
            }
        }
        search
    }

    fn is_dead(&self, row: usize) -> bool {
        self.dead.get(row).copied().unwrap_or(true)
    }

    /// A row that makes `row` say nothing.
    fn shadow(&self, row: usize, left: &mut usize) -> Option<usize> {
        let patterns = self.values(row, &self.patterns);
        for roles in self.role_choices(row) {
            let Some(covering) = self.groups.get(&self.group(row, roles)) else {
                continue;
            };
            let equal = covering.first.get(&patterns);
            for other in equal.into_iter().chain(&covering.wide) {
                *left = left.checked_sub(1)?;
                if self.is_shadow(*other, row) {
                    return Some(*other);
                }
            }
        }
        None
    }

    fn is_shadow(&self, other: usize, row: usize) -> bool {
        // A row that is there twice is another finding.
        if other == row || self.table.cells(other) == self.table.cells(row) {
            return false;
        }
        if self.first_match {
            return other < row && self.covers(other, row);
        }
        if !self.covers(other, row) {
            return false;
        }
        // Of rows that say the same, the later one is too much.
        let origin = |row: usize| self.table.rows.origins.get(row);
        origin(other) < origin(row) || !self.covers(row, other)
    }

    /// Whether every request that matches `narrow` matches `wide` too.
    fn covers(&self, wide: usize, narrow: usize) -> bool {
        let bits = |row: usize| self.chosen.get(row).copied().unwrap_or_default();
        // A placeholder takes line feeds, a `/*` does not. That matters to denials.
        let loosely = !self.table.rows.denies(narrow)
            && self.table.rows.denies(wide) == self.table.rows.denies(narrow);
        self.clauses.iter().enumerate().all(|(clause, terms)| {
            if bits(narrow) & (1 << clause) == 0 {
                return true;
            }
            bits(wide) & (1 << clause) != 0 && self.terms_cover(terms, wide, narrow, loosely)
        })
    }

    fn terms_cover(&self, terms: &Terms, wide: usize, narrow: usize, loosely: bool) -> bool {
        let rows = self.table.rows;
        let equal = |field: usize| rows.cell(wide, field) == rows.cell(narrow, field);
        terms.same.iter().all(|field| equal(*field))
            && terms.roles.iter().all(|term| {
                let role = rows.cell(wide, term.policy);
                let reached = self.reached(narrow, *term);
                equal(term.policy) || role.is_some_and(|role| reached.binary_search(&role).is_ok())
            })
            && terms.patterns.iter().all(|(function, field)| {
                let text = |row: usize| {
                    let cell = rows.cell(row, *field)?;
                    let pattern = rows.patterns.get(&(*function, cell))?;
                    Some((pattern, self.table.policy.symbols.text(cell)))
                };
                equal(*field)
                    || match (text(wide), text(narrow)) {
                        (Some((wide, _)), Some((narrow, text))) => {
                            pattern_covers(*function, wide, narrow, text, loosely)
                        }
                        _ => false,
                    }
            })
    }

    /// The roles that the role in a row has, sorted.
    fn reached(&self, row: usize, term: RoleTerm) -> &'t [u32] {
        let rows = self.table.rows;
        let Some(graph) = self.table.policy.graphs.get(term.graph) else {
            return &[];
        };
        let domain = match term.domain {
            Some(field) if graph.has_domains() => rows.cell(row, field),
            _ => Some(0),
        };
        rows.cell(row, term.policy)
            .zip(domain)
            .and_then(|(role, domain)| graph.roles(role, domain))
            .unwrap_or_default()
    }

    /// What the roles of a covering row may be, those of the row itself first.
    fn role_choices(&self, row: usize) -> Vec<Vec<u32>> {
        let mut choices: Vec<Vec<u32>> = vec![Vec::new()];
        for field in &self.roles {
            let own = self.table.rows.cell(row, *field).unwrap_or_default();
            let mut values = vec![own];
            for term in self.clauses.iter().flat_map(|clause| &clause.roles) {
                if term.policy == *field {
                    let reached = self.reached(row, *term).iter().copied();
                    values.extend(reached.filter(|role| *role != own));
                }
            }
            choices = choices
                .iter()
                .flat_map(|before| {
                    values.iter().map(move |value| {
                        let mut choice = before.clone();
                        choice.push(*value);
                        choice
                    })
                })
                .collect();
        }
        choices
    }

    fn group(&self, row: usize, roles: Vec<u32>) -> Group {
        let effect = (!self.first_match).then(|| self.table.rows.denies(row));
        (self.values(row, &self.fixed), roles, effect)
    }

    fn values(&self, row: usize, fields: &[usize]) -> Vec<u32> {
        fields
            .iter()
            .map(|field| self.table.rows.cell(row, *field).unwrap_or_default())
            .collect()
    }

    fn is_wide(&self, row: usize) -> bool {
        let rows = self.table.rows;
        let mut patterns = self.clauses.iter().flat_map(|own| &own.patterns);
        patterns.any(|(function, field)| {
            rows.cell(row, *field)
                .and_then(|cell| rows.patterns.get(&(*function, cell)))
                .is_some_and(|pattern| pattern.exact().is_none())
        })
    }
}

impl Terms {
    fn new(clause: &Clause, policy: &CompiledPolicy, deep: &[bool]) -> Self {
        let mut terms = Self::default();
        for key in &clause.keys {
            match key {
                Key::Equal { policy, .. } => {
                    terms.same.insert(*policy);
                }
                Key::Role {
                    graph,
                    domain,
                    policy: field,
                    ..
                } => {
                    let has_domains = policy
                        .graphs
                        .get(*graph)
                        .is_some_and(RoleGraph::has_domains);
                    let domain = domain.as_ref().and_then(|own| equal_field(clause, own));
                    // Who has the one role has the other too, if nothing is out of reach.
                    let follows = deep.get(*graph) == Some(&false);
                    if follows && (domain.is_some() || !has_domains) {
                        terms.roles.push(RoleTerm {
                            graph: *graph,
                            policy: *field,
                            domain,
                        });
                    } else {
                        terms.same.insert(*field);
                    }
                }
            }
        }
        if let Some(term) = &clause.pattern {
            terms.patterns.push((term.function, term.policy));
        }
        for node in &clause.rest {
            match pattern_term(node) {
                Some(term) => terms.patterns.push(term),
                None => terms.same.extend(policy_fields(node)),
            }
        }
        terms
    }
}

/// A predicate of a request value and a pattern in a policy field.
fn pattern_term(node: &Node) -> Option<(Function, usize)> {
    match node {
        Node::Match {
            function,
            key,
            pattern: PatternSource::Policy { field },
        } if !key.mentions_policy() => Some((*function, *field)),
        _ => None,
    }
}

/// The policy field that a request value is equal to in a clause.
fn equal_field(clause: &Clause, place: &RequestPlace) -> Option<usize> {
    clause.keys.iter().find_map(|key| match key {
        Key::Equal { request, policy }
            if request.field == place.field && request.path == place.path =>
        {
            Some(*policy)
        }
        _ => None,
    })
}

/// Whether every key of `narrow`, written as `text`, is one of `wide`, as far as it is seen.
fn pattern_covers(
    function: Function,
    wide: &Pattern,
    narrow: &Pattern,
    text: &str,
    loosely: bool,
) -> bool {
    if let Some(key) = narrow.exact() {
        return wide.matches(key) == Ok(true);
    }
    match function {
        Function::KeyMatch => {
            wide.exact().is_none() && narrow.literal_prefix().starts_with(wide.literal_prefix())
        }
        // A single address is a pattern as well as a key.
        Function::IpMatch => !text.contains('/') && wide.matches(text) == Ok(true),
        Function::KeyMatch2 | Function::KeyMatch3 | Function::KeyMatch5 => {
            segments_cover(wide, narrow, loosely)
        }
        // The names of `keyMatch4` may repeat, and of other patterns too little is known.
        _ => false,
    }
}

fn segments_cover(wide: &Pattern, narrow: &Pattern, loosely: bool) -> bool {
    let (Some(wide), Some(narrow)) = (
        wide.parts().and_then(whole_segments),
        narrow.parts().and_then(whole_segments),
    ) else {
        return false;
    };
    let (own, other) = (wide.texts.len(), narrow.texts.len());
    let fits = match (wide.open, narrow.open) {
        (false, open) => !open && own == other,
        (true, false) => own < other,
        (true, true) => own <= other,
    };
    let mut pairs = wide.texts.iter().zip(&narrow.texts);
    fits && pairs.all(|pair| match pair {
        (None, None) => true,
        (None, Some(text)) => !text.is_empty(),
        (Some(own), Some(text)) => own == text,
        (Some(_), None) => false,
    }) && narrow.texts.iter().skip(own).all(|text| match text {
        Some(text) => !text.contains('\n'),
        None => loosely,
    })
}

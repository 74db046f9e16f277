use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::{Map, Value as Json};

use super::compared::{Domain, Place, With, compared, compared_by_key, parts, place_of};
use super::side::{Atom, Of, Side};
use crate::authz::clause::{Clause, Key};
use crate::authz::node::Node;

/// Makes the requests that could be answered differently.
///
/// A request is one atom for each place, a request value or attribute that a matcher looks at.
#[derive(Debug)]
pub(super) struct Witnesses<'p> {
    request_names: &'p [String],
    places: Vec<Place<'p>>,
    /// By place a value that no policy mentions.
    fresh: Vec<Atom<'p>>,
    /// By place that value, and the matchers' constants.
    constants: Vec<BTreeSet<Atom<'p>>>,
    /// By place those, and everything that rows and relations have for it.
    all: Vec<BTreeSet<Atom<'p>>>,
}

/// Where the values of one place come from, for a row.
struct Step<'p> {
    slot: usize,
    source: Source<'p>,
}

enum Source<'p> {
    /// The row's value.
    Cell(usize),
    /// Everybody who has the row's role.
    Role {
        graph: usize,
        policy: usize,
        domain: Domain<'p>,
    },
    /// What the place is compared with in other ways.
    Loose(Vec<With<'p>>),
}

/// What the values of a clause are made from.
struct Plan<'p> {
    steps: Vec<Step<'p>>,
    /// The policy fields with rules.
    rules: Vec<usize>,
    thorough: bool,
}

impl<'p> Witnesses<'p> {
    pub(super) fn new(sides: &[Side<'p>; 2]) -> Self {
        let [old, _] = sides;
        let request_names = old.matcher.request_names.as_slice();
        let mut values: BTreeMap<Place<'p>, (BTreeSet<Atom<'p>>, BTreeSet<Atom<'p>>)> =
            BTreeMap::new();
        for side in sides {
            for node in side.policy.expressions(side.number, side.matcher) {
                for part in parts(node) {
                    if let Node::Request { field, path } = part {
                        values.entry((*field, &**path)).or_default();
                    }
                }
            }
            for (place, with) in side.policy.comparisons(side.number, side.matcher) {
                let (constants, all) = values.entry(place).or_default();
                let found = side.values(with, Of::Every);
                if is_constant(with) {
                    constants.extend(found.iter().cloned());
                }
                all.extend(found);
            }
        }
        for field in 0..request_names.len() {
            if !values.keys().any(|(own, _)| *own == field) {
                values.entry((field, Default::default())).or_default();
            }
        }
        let without_rows = sides
            .iter()
            .any(|side| !side.policy.looks_at_rows(side.matcher));
        let mut witnesses = Self {
            request_names,
            places: Vec::new(),
            fresh: Vec::new(),
            constants: Vec::new(),
            all: Vec::new(),
        };
        for (place, (mut constants, mut all)) in values {
            if without_rows {
                constants.insert(Atom::Text(Cow::Borrowed("")));
            }
            let fresh = fresh(place, request_names, sides, &constants);
            constants.insert(fresh.clone());
            all.extend(constants.iter().cloned());
            witnesses.places.push(place);
            witnesses.fresh.push(fresh);
            witnesses.constants.push(constants);
            witnesses.all.push(all);
        }
        witnesses
    }

    /// A request of nothing that any policy mentions.
    pub(super) fn unmentioned(&self) -> &[Atom<'p>] {
        &self.fresh
    }

    /// Calls `visit` with the requests that rows of a side match: with the row's values, and with
    /// every name that has its role. Places that no key of a clause binds get a fresh value and
    /// the constants or, when `thorough`, everything that is compared with them anywhere.
    pub(super) fn each(
        &self,
        side: &mut Side<'p>,
        thorough: bool,
        visit: &mut dyn FnMut(&[Atom<'p>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let matcher = side.matcher;
        for (clause, _) in &matcher.clauses {
            let plan = self.plan(clause, thorough);
            let mut fields: BTreeSet<usize> = plan.rules.iter().copied().collect();
            for step in &plan.steps {
                match &step.source {
                    Source::Cell(policy) => {
                        fields.insert(*policy);
                    }
                    Source::Role { policy, domain, .. } => {
                        fields.insert(*policy);
                        if let Domain::Policy(field) = domain {
                            fields.insert(*field);
                        }
                    }
                    Source::Loose(withs) => fields.extend(withs.iter().filter_map(field_of)),
                }
            }
            for row in side.rows(&fields) {
                let mut chosen = self.fresh.clone();
                self.fill(side, &plan, &plan.steps, row, &mut chosen, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The request's values.
    pub(super) fn request(&self, atoms: &[Atom<'_>]) -> Vec<Json> {
        (0..self.request_names.len())
            .map(|field| {
                let own: Vec<(&[Box<str>], Json)> = self
                    .places
                    .iter()
                    .zip(atoms)
                    .filter(|((own, _), _)| *own == field)
                    .map(|((_, path), atom)| (*path, atom.json()))
                    .collect();
                if own.iter().all(|(path, _)| path.is_empty()) {
                    return own.into_iter().next().map_or(Json::Null, |(_, json)| json);
                }
                let mut object = Map::new();
                for (path, json) in own {
                    put(&mut object, path, json);
                }
                Json::Object(object)
            })
            .collect()
    }

    fn plan(&self, clause: &'p Clause, thorough: bool) -> Plan<'p> {
        let mut sources: BTreeMap<Place<'p>, Source<'p>> = BTreeMap::new();
        for key in &clause.keys {
            match compared_by_key(key) {
                (place, With::Field(policy)) => {
                    sources.insert(place, Source::Cell(policy));
                }
                (
                    place,
                    With::Role {
                        graph,
                        policy,
                        domain,
                    },
                ) => {
                    sources.entry(place).or_insert(Source::Role {
                        graph,
                        policy,
                        domain,
                    });
                }
                _ => {}
            }
        }
        let mut loose: Vec<(Place<'p>, With<'p>)> = Vec::new();
        if let Some(term) = &clause.pattern {
            let with = With::Pattern {
                function: term.function,
                policy: term.policy,
            };
            loose.push((place_of(&term.request), with));
        }
        loose.extend(clause.conditions.iter().flat_map(compared));
        loose.extend(clause.rest.iter().flat_map(compared));
        for key in &clause.keys {
            if let Key::Role {
                graph,
                domain: Some(domain),
                ..
            } = key
            {
                loose.push((place_of(domain), With::Domain { graph: *graph }));
            }
        }
        for (place, with) in loose {
            let source = sources
                .entry(place)
                .or_insert_with(|| Source::Loose(Vec::new()));
            if let Source::Loose(withs) = source {
                withs.push(with);
            }
        }
        let mut steps: Vec<Step<'p>> = self
            .places
            .iter()
            .enumerate()
            .map(|(slot, place)| Step {
                slot,
                source: sources
                    .remove(place)
                    .unwrap_or_else(|| Source::Loose(Vec::new())),
            })
            .collect();
        // Who has a role depends on the domain, which therefore is chosen before.
        steps.sort_by_key(|step| match &step.source {
            Source::Cell(_) | Source::Loose(_) => 0,
            Source::Role { domain, .. } => match domain {
                Domain::Request(_) => 2,
                _ => 1,
            },
        });
        let rules = clause.rest.iter().flat_map(parts);
        let rules = rules.filter_map(|part| match part {
            Node::Eval { field } => Some(*field),
            _ => None,
        });
        Plan {
            steps,
            rules: rules.collect(),
            thorough,
        }
    }

    fn fill(
        &self,
        side: &mut Side<'p>,
        plan: &Plan<'p>,
        steps: &[Step<'p>],
        row: Option<usize>,
        chosen: &mut [Atom<'p>],
        visit: &mut dyn FnMut(&[Atom<'p>]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some((step, after)) = steps.split_first() else {
            return visit(chosen);
        };
        for atom in self.choices(side, plan, step, row, chosen) {
            if let Some(slot) = chosen.get_mut(step.slot) {
                *slot = atom;
            }
            self.fill(side, plan, after, row, chosen, visit)?;
        }
        ControlFlow::Continue(())
    }

    fn choices(
        &self,
        side: &mut Side<'p>,
        plan: &Plan<'p>,
        step: &Step<'p>,
        row: Option<usize>,
        chosen: &[Atom<'p>],
    ) -> Vec<Atom<'p>> {
        let withs = match &step.source {
            Source::Cell(policy) => {
                return vec![Atom::Text(Cow::Borrowed(side.cell(row, *policy)))];
            }
            Source::Role {
                graph,
                policy,
                domain,
            } => {
                let domain = self.domain(side, *domain, row, chosen);
                let role = side.cell(row, *policy);
                let members = side.members.of(*graph, role, &domain);
                return members
                    .iter()
                    .map(|member| Atom::Text(Cow::Borrowed(*member)))
                    .collect();
            }
            Source::Loose(withs) => withs,
        };
        let known = if plan.thorough {
            &self.all
        } else {
            &self.constants
        };
        let mut found: BTreeSet<Atom<'p>> = known.get(step.slot).cloned().unwrap_or_default();
        for with in withs {
            found.extend(side.values(*with, Of::Row(row)));
        }
        for rule in plan.rules.iter().filter_map(|field| side.rule(row, *field)) {
            for (place, with) in compared(rule) {
                if self.places.get(step.slot) == Some(&place) {
                    found.extend(side.values(with, Of::Row(row)));
                }
            }
        }
        found.into_iter().collect()
    }

    fn domain(
        &self,
        side: &Side<'p>,
        domain: Domain<'p>,
        row: Option<usize>,
        chosen: &[Atom<'p>],
    ) -> String {
        match domain {
            Domain::None | Domain::Computed => String::new(),
            Domain::Policy(field) => side.cell(row, field).to_owned(),
            Domain::Text(text) => text.to_owned(),
            Domain::Request(place) => {
                let slot = self.places.iter().position(|own| *own == place);
                match slot.and_then(|slot| chosen.get(slot)) {
                    Some(Atom::Text(text)) => text.clone().into_owned(),
                    _ => String::new(),
                }
            }
        }
    }
}

fn is_constant(with: With<'_>) -> bool {
    matches!(
        with,
        With::Text(_) | With::Number(_) | With::NamedRole { .. } | With::FixedPattern(_)
    )
}

fn field_of(with: &With<'_>) -> Option<usize> {
    match with {
        With::Field(policy) | With::Role { policy, .. } | With::Pattern { policy, .. } => {
            Some(*policy)
        }
        _ => None,
    }
}

/// A value for a place that neither policy mentions, named after the request field.
fn fresh<'p>(
    place: Place<'p>,
    request_names: &[String],
    sides: &[Side<'p>; 2],
    constants: &BTreeSet<Atom<'p>>,
) -> Atom<'p> {
    let (field, path) = place;
    let mut text = String::from("other");
    let name = request_names.get(field).map(String::as_str);
    for part in name.into_iter().chain(path.iter().map(AsRef::as_ref)) {
        text.push('-');
        text.push_str(part);
    }
    loop {
        let atom = Atom::Text(Cow::Owned(text.clone()));
        let mentioned = sides
            .iter()
            .any(|side| side.policy.symbols.get(&text).is_some());
        if !mentioned && !constants.contains(&atom) {
            return atom;
        }
        text.push('x');
    }
}

fn put(object: &mut Map<String, Json>, path: &[Box<str>], json: Json) {
    match path {
        [] => {}
        [last] => {
            object.insert(last.to_string(), json);
        }
        [first, rest @ ..] => {
            let inner = object
                .entry(first.to_string())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, json);
            }
        }
    }
}

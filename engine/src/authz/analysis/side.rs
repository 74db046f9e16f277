use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::compared::With;
use super::matching_keys::matching_keys;
use super::members::{Members, domains, names};
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::node::Node;

/// One of the two policies that are compared.
pub(super) struct Side<'p> {
    pub(super) policy: &'p CompiledPolicy,
    pub(super) number: usize,
    pub(super) matcher: &'p Matcher,
    pub(super) members: Members<'p>,
}

/// One request value, or one attribute, before the request is put together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Atom<'p> {
    Text(Cow<'p, str>),
    /// The bits of a double.
    Number(u64),
}

/// Whose values are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// Those of one row, or of none, which are empty.
    Row(Option<usize>),
    /// Those of every row.
    Every,
}

impl<'p> Side<'p> {
    pub(super) fn new(policy: &'p CompiledPolicy, number: usize, matcher: &'p Matcher) -> Self {
        Self {
            policy,
            number,
            matcher,
            members: Members::new(policy),
        }
    }

    /// A policy value of a row; without rows the matcher sees empty ones.
    pub(super) fn cell(&self, row: Option<usize>, field: usize) -> &'p str {
        let rows = self.policy.tables.get(self.matcher.table);
        row.and_then(|row| rows?.cell(row, field))
            .map_or("", |cell| self.policy.symbols.text(cell))
    }

    /// The values of a place that `with` tells apart, for one row or for all.
    pub(super) fn values(&self, with: With<'p>, of: Of) -> Vec<Atom<'p>> {
        let column = |field: usize| -> Vec<&'p str> {
            match of {
                Of::Row(row) => vec![self.cell(row, field)],
                Of::Every => self
                    .policy
                    .column(self.matcher.table, field)
                    .into_iter()
                    .map(|cell| self.policy.symbols.text(cell))
                    .collect(),
            }
        };
        let text = |text: &'p str| Atom::Text(Cow::Borrowed(text));
        match with {
            With::Field(field) => column(field).into_iter().map(text).collect(),
            With::Role { graph, policy, .. } => column(policy)
                .into_iter()
                .chain(names(self.policy, graph))
                .map(text)
                .collect(),
            With::Pattern { function, policy } => column(policy)
                .into_iter()
                .filter_map(|own| {
                    let cell = self.policy.symbols.get(own)?;
                    let rows = self.policy.tables.get(self.matcher.table)?;
                    Some((own, rows.patterns.get(&(function, cell))?))
                })
                .flat_map(|(own, pattern)| matching_keys(pattern, own))
                .map(|key| Atom::Text(Cow::Owned(key)))
                .collect(),
            With::Text(own) => vec![text(own)],
            // The number itself and one on each side of it.
            With::Number(own) => [own - 1.0, own, own + 1.0]
                .map(|number| Atom::Number(number.to_bits()))
                .into(),
            With::NamedRole { graph, role } => names(self.policy, graph)
                .into_iter()
                .chain([role])
                .map(text)
                .collect(),
            With::FixedPattern(pattern) => {
                let expression = pattern.expression().unwrap_or_default();
                matching_keys(pattern, expression)
                    .into_iter()
                    .map(|key| Atom::Text(Cow::Owned(key)))
                    .collect()
            }
            With::Domain { graph } => domains(self.policy, graph).into_iter().map(text).collect(),
        }
    }

    /// One row for each combination of values in `fields`; none at all where the matcher is
    /// evaluated without.
    pub(super) fn rows(&self, fields: &BTreeSet<usize>) -> Vec<Option<usize>> {
        let Some(rows) = self.policy.tables.get(self.matcher.table) else {
            return Vec::new();
        };
        if !self.policy.looks_at_rows(self.matcher) {
            return vec![None];
        }
        let mut seen = BTreeSet::new();
        (0..rows.len())
            .filter(|row| {
                let cells: Vec<Option<u32>> =
                    fields.iter().map(|field| rows.cell(*row, *field)).collect();
                seen.insert(cells)
            })
            .map(Some)
            .collect()
    }

    /// The rule that a row has in a field.
    pub(super) fn rule(&self, row: Option<usize>, field: usize) -> Option<&'p Node> {
        let rows = self.policy.tables.get(self.matcher.table)?;
        let cell = rows.cell(row?, field)?;
        rows.rules.get(&(self.number, cell))
    }
}

impl Atom<'_> {
    pub(super) fn json(&self) -> Json {
        match self {
            Atom::Text(text) => Json::String(text.clone().into_owned()),
            Atom::Number(bits) => Json::from(f64::from_bits(*bits)),
        }
    }
}

use std::ops::ControlFlow;

use hashbrown::HashMap;

use super::AuthzError;
use super::clause::{Clause, KEYS, Key, RequestPlace};
use super::evaluate::Scope;
use super::first_rows::FirstRows;
use super::pattern_index::PatternIndex;
use super::rows::Rows;
use super::value::Value;
use crate::policy::Effect;

/// The rows of a clause, found by what its terms compare.
#[derive(Debug)]
pub(super) struct Index {
    buckets: HashMap<RowKey, Bucket>,
    /// Whether there is no row at all.
    is_empty: bool,
}

/// One symbol for each key of the clause.
type RowKey = [u32; KEYS];

/// The rows that agree in all keys.
#[derive(Debug)]
enum Bucket {
    /// Nothing is left to look at.
    Settled(FirstRows),
    Rows(Box<[u32]>),
    Patterns(Box<PatternIndex>),
}

/// How a look-up ends before it has seen everything: with an error, or because what was found
/// decides.
type End = Result<(), AuthzError>;

impl Index {
    /// Indexes the `chosen` rows.
    pub(super) fn new(clause: &Clause, chosen: &[u32], rows: &Rows) -> Self {
        let mut lists: HashMap<RowKey, Vec<u32>> = HashMap::new();
        let mut settled: HashMap<RowKey, FirstRows> = HashMap::new();
        for row in chosen {
            let mut own = RowKey::default();
            for (slot, key) in own.iter_mut().zip(&clause.keys) {
                *slot = rows.cell(*row as usize, key.policy()).unwrap_or(u32::MAX);
            }
            if clause.is_settled() {
                let denies = rows.denies(*row as usize);
                settled.entry(own).or_default().add(*row, denies);
            } else {
                lists.entry(own).or_default().push(*row);
            }
        }
        let mut buckets: HashMap<RowKey, Bucket> = settled
            .into_iter()
            .map(|(key, first)| (key, Bucket::Settled(first)))
            .collect();
        for (key, list) in lists {
            let index = clause.pattern.as_ref().and_then(|term| {
                PatternIndex::new(term.function, &list, |row| {
                    let cell = rows.cell(row as usize, term.policy)?;
                    rows.patterns.get(&(term.function, cell))
                })
            });
            let bucket = match index {
                Some(index) => Bucket::Patterns(Box::new(index)),
                None => Bucket::Rows(list.into()),
            };
            buckets.insert(key, bucket);
        }
        Self {
            is_empty: buckets.is_empty(),
            buckets,
        }
    }

    /// Adds the rows that match to `first`, until those decide.
    pub(super) fn find<'s>(
        &self,
        clause: &'s Clause,
        scope: &Scope<'s>,
        effect: Effect,
        first: &mut FirstRows,
    ) -> Result<(), AuthzError> {
        for condition in &clause.conditions {
            if !scope.bool(condition, "&&")? {
                return Ok(());
            }
        }
        if self.is_empty {
            return Ok(());
        }
        let mut search = Search {
            index: self,
            clause,
            scope,
            effect,
            first,
        };
        match search.descend(0, RowKey::default()) {
            ControlFlow::Break(Err(error)) => Err(error),
            ControlFlow::Break(Ok(())) | ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// The bytes it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let lists: usize = self
            .buckets
            .values()
            .map(|bucket| match bucket {
                Bucket::Rows(rows) => rows.len() * 4,
                Bucket::Settled(_) | Bucket::Patterns(_) => 0,
            })
            .sum();
        self.buckets.allocation_size() + lists
    }
}

struct Search<'f, 's> {
    index: &'f Index,
    clause: &'s Clause,
    scope: &'f Scope<'s>,
    effect: Effect,
    first: &'f mut FirstRows,
}

impl<'s> Search<'_, 's> {
    fn descend(&mut self, depth: usize, key: RowKey) -> ControlFlow<End> {
        let Some(own) = self.clause.keys.get(depth) else {
            return self.look(key);
        };
        let put = |symbol: u32| {
            let mut key = key;
            if let Some(slot) = key.get_mut(depth) {
                *slot = symbol;
            }
            key
        };
        let (place, role) = match own {
            Key::Equal { request, .. } => (request, None),
            Key::Role {
                graph,
                member,
                domain,
                ..
            } => (member, Some((*graph, domain))),
        };
        let value = self.value(place)?;
        let text = match (&value, role) {
            (Value::Text(text), _) => text,
            // Only text equals a policy's text.
            (_, None) => return ControlFlow::Continue(()),
            (other, Some(_)) => return ControlFlow::Break(Err(other.refused("g"))),
        };
        let domain = match role {
            Some((graph, Some(place))) => match self.value(place)? {
                Value::Text(domain) => self
                    .scope
                    .graphs
                    .get(graph)
                    .filter(|own| own.has_domains())
                    .map_or(Some(0), |_| self.scope.symbols.get(&domain)),
                other => return ControlFlow::Break(Err(other.refused("g"))),
            },
            _ => Some(0),
        };
        // A value that no rule and no role mentions can match no row.
        let Some(symbol) = self.scope.symbols.get(text) else {
            return ControlFlow::Continue(());
        };
        let roles =
            role.and_then(|(graph, _)| self.scope.graphs.get(graph)?.roles(symbol, domain?));
        match roles {
            Some(roles) => roles
                .iter()
                .try_for_each(|role| self.descend(depth + 1, put(*role))),
            None => self.descend(depth + 1, put(symbol)),
        }
    }

    fn look(&mut self, key: RowKey) -> ControlFlow<End> {
        match self.index.buckets.get(&key) {
            None => ControlFlow::Continue(()),
            Some(Bucket::Settled(first)) => {
                self.first.merge(*first);
                self.until_decided()
            }
            Some(Bucket::Rows(rows)) => rows.iter().try_for_each(|row| self.row(*row)),
            Some(Bucket::Patterns(index)) => {
                let Some(term) = &self.clause.pattern else {
                    return ControlFlow::Continue(());
                };
                let value = self.value(&term.request)?;
                match value.text(term.function.name()) {
                    Ok(text) => index.candidates(text, |row| self.row(row)),
                    Err(error) => ControlFlow::Break(Err(error)),
                }
            }
        }
    }

    fn row(&mut self, row: u32) -> ControlFlow<End> {
        match self.matches(row) {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => {
                let denies = self.scope.rows.denies(row as usize);
                self.first.add(row, denies);
                self.until_decided()
            }
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn matches(&self, row: u32) -> Result<bool, AuthzError> {
        let scope = Scope {
            row: Some(row as usize),
            ..*self.scope
        };
        if let Some(term) = &self.clause.pattern {
            let pattern = scope
                .rows
                .cell(row as usize, term.policy)
                .and_then(|cell| scope.rows.patterns.get(&(term.function, cell)));
            let value = scope.request_value(term.request.field, &term.request.path)?;
            let key = value.text(term.function.name())?;
            match pattern {
                Some(pattern) if pattern.matches(key)? => {}
                _ => return Ok(false),
            }
        }
        if let ([only], true) = (self.clause.rest.as_slice(), self.clause.is_whole) {
            return scope.matches(only);
        }
        for term in &self.clause.rest {
            if !scope.bool(term, "&&")? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn until_decided(&self) -> ControlFlow<End> {
        if self.first.is_decided(self.effect) {
            ControlFlow::Break(Ok(()))
        } else {
            ControlFlow::Continue(())
        }
    }

    fn value(&self, place: &'s RequestPlace) -> ControlFlow<End, Value<'s>> {
        match self.scope.request_value(place.field, &place.path) {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}

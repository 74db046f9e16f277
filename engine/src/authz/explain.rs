use serde::Serialize;

use super::AuthzError;
use super::compiled::{CompiledPolicy, Matcher};
use super::evaluate::Scope;
use super::first_rows::FirstRows;
use super::node::Node;
use super::value::{RequestValue, Value};

/// Why a request is allowed or not: every row that matches it, found by looking at all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The answer.
    pub allowed: bool,
    /// How rows decide, as `allow-override`.
    pub effect: &'static str,
    /// The matching rows in the order Casbin looks at them.
    pub rows: Vec<ExplainedRow>,
}

/// A row that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedRow {
    /// `p`, `p2`...
    pub kind: String,
    /// Its values.
    pub values: Vec<String>,
    /// Whether it denies.
    pub deny: bool,
    /// The source it is in.
    pub source: String,
    /// The line, from 1.
    pub line: u32,
    /// Whether the answer is this row's.
    pub decisive: bool,
    /// For each role the matcher asked for: the names from the request's to the row's.
    pub roles: Vec<Vec<String>>,
}

impl CompiledPolicy {
    /// Evaluates the matcher `m<context>` on every row, one after the other: the same answer as
    /// [`CompiledPolicy::evaluate_in`], slower, and with its reasons.
    ///
    /// # Errors
    /// [`AuthzError`], for any row: an error behind the deciding row does not count.
    pub fn explain(
        &self,
        context: &str,
        request: &[RequestValue<'_>],
    ) -> Result<Explanation, AuthzError> {
        let (number, matcher) = self.matcher(context)?;
        self.check_size(matcher, request)?;
        let effect = matcher.effect;
        let Some(rows) = self.tables.get(matcher.table) else {
            return Err(AuthzError::Context(context.to_owned()));
        };
        let scope = self.scope(number, rows, request);
        if !self.looks_at_rows(matcher) {
            let first = self.without_rows(matcher, &scope)?;
            return Ok(Explanation {
                allowed: first.allows(effect),
                effect: effect.name(),
                rows: Vec::new(),
            });
        }
        let mut first = FirstRows::default();
        let mut matching = Vec::new();
        for row in 0..rows.len() {
            let scope = Scope {
                row: Some(row),
                ..scope
            };
            let decided = first.is_decided(effect)
                || (effect.is_first_match() && first.decisive(effect).is_some());
            match scope.matches(&matcher.node) {
                Ok(true) => {
                    first.add(row as u32, rows.denies(row));
                    matching.push(row);
                }
                Ok(false) => {}
                // Casbin does not come here.
                Err(_) if decided => {}
                Err(error) => return Err(error),
            }
        }
        let decisive = first.decisive(effect);
        Ok(Explanation {
            allowed: first.allows(effect),
            effect: effect.name(),
            rows: matching
                .into_iter()
                .map(|row| self.explained(matcher, &scope, row, decisive == Some(row as u32)))
                .collect(),
        })
    }

    pub(super) fn explained(
        &self,
        matcher: &Matcher,
        scope: &Scope<'_>,
        row: usize,
        decisive: bool,
    ) -> ExplainedRow {
        let scope = Scope {
            row: Some(row),
            ..*scope
        };
        let rows = scope.rows;
        let kind = self.kinds.get(matcher.table);
        let values = (0..rows.width)
            .filter_map(|field| rows.cell(row, field))
            .map(|cell| self.symbols.text(cell).to_owned())
            .collect();
        let place = self.place(matcher.table, row);
        let roles = std::cell::RefCell::new(Vec::new());
        matcher.node.any(&|node| {
            if let Some(path) = self.role_path(node, &scope) {
                roles.borrow_mut().push(path);
            }
            false
        });
        ExplainedRow {
            kind: kind.map(|(key, _)| key.clone()).unwrap_or_default(),
            values,
            deny: rows.denies(row),
            source: place.map(|own| own.source.to_string()).unwrap_or_default(),
            line: place.map_or(0, |own| own.line),
            decisive,
            roles: roles.into_inner(),
        }
    }

    fn role_path(&self, node: &Node, scope: &Scope<'_>) -> Option<Vec<String>> {
        let Node::Role {
            graph,
            member,
            role,
            domain,
        } = node
        else {
            return None;
        };
        let text = |node: &Node| match scope.evaluate(node) {
            Ok(Value::Text(text)) => Some(text.into_owned()),
            _ => None,
        };
        let (member, role) = (text(member)?, text(role)?);
        let domain = match domain {
            Some(domain) => text(domain)?,
            None => String::new(),
        };
        let graph = self.graphs.get(*graph)?;
        let path = graph.path(&member, &role, &domain, &self.symbols);
        (!path.is_empty()).then_some(path)
    }
}

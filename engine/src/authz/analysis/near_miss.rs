use serde::Serialize;

use super::compared::policy_fields;
use crate::authz::AuthzError;
use crate::authz::clause::{Clause, Key, RequestPlace};
use crate::authz::compiled::CompiledPolicy;
use crate::authz::evaluate::Scope;
use crate::authz::explain::ExplainedRow;
use crate::authz::value::{RequestValue, Value};

/// A row that would allow a request but for one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    /// The row.
    pub row: ExplainedRow,
    /// The policy field that does not fit, as `act`.
    pub field: String,
    /// Its value in the row.
    pub value: String,
    /// The request's value, when it is compared with one.
    pub request: Option<String>,
}

/// A term that does not hold.
struct Missed {
    policy: Option<usize>,
    request: Option<String>,
}

impl CompiledPolicy {
    /// The rows that would allow a request if one field of theirs fitted, in the order Casbin
    /// looks at them: what a denied request was close to.
    ///
    /// # Errors
    /// [`AuthzError`] for a context that the model does not have, or too many or few values.
    ///
    /// ```
    /// use tokensmith_engine::authz::RequestValue;
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// let request = ["role:service", "metadata:nodes", "update"].map(RequestValue::from);
    /// let misses = policy.near_misses("", &request).unwrap();
    /// assert_eq!(misses[0].row.values, ["role:admin", "metadata:nodes", "update"]);
    /// assert_eq!(misses[0].field, "sub");
    /// ```
    pub fn near_misses(
        &self,
        context: &str,
        request: &[RequestValue<'_>],
    ) -> Result<Vec<NearMiss>, AuthzError> {
        let (number, matcher) = self.matcher(context)?;
        self.check_size(matcher, request)?;
        let mut found = Vec::new();
        let Some(rows) = self.tables.get(matcher.table) else {
            return Ok(found);
        };
        if !self.looks_at_rows(matcher) {
            return Ok(found);
        }
        let scope = self.scope(number, rows, request);
        for row in (0..rows.len()).filter(|row| !rows.denies(*row)) {
            let at_row = Scope {
                row: Some(row),
                ..scope
            };
            let mut clauses = matcher.clauses.iter();
            let Some(missed) = clauses.find_map(|(clause, _)| at_row.missed(clause)) else {
                continue;
            };
            let kind = self.kinds.get(matcher.table);
            let field = missed.policy.and_then(|field| kind?.1.get(field).cloned());
            let value = missed.policy.and_then(|field| rows.cell(row, field));
            found.push(NearMiss {
                row: self.explained(matcher, &scope, row, false),
                field: field.unwrap_or_default(),
                value: value.map_or("", |cell| self.symbols.text(cell)).to_owned(),
                request: missed.request,
            });
        }
        Ok(found)
    }
}

impl<'s> Scope<'s> {
    /// The one term of a clause that does not hold; `None` when that is not all there is to it,
    /// or when the clause has no other term that holds.
    fn missed(&self, clause: &'s Clause) -> Option<Missed> {
        let holds = |node| self.bool(node, "&&") == Ok(true);
        if !clause.conditions.iter().all(holds) || !clause.filters.iter().all(holds) {
            return None;
        }
        let mut terms: Vec<(bool, Missed)> = Vec::new();
        for key in &clause.keys {
            terms.push(self.key_term(key)?);
        }
        if let Some(term) = &clause.pattern {
            let key = self.request_text(&term.request)?;
            let cell = self.rows.cell(self.row?, term.policy)?;
            let pattern = self.rows.patterns.get(&(term.function, cell))?;
            let missed = Missed {
                policy: Some(term.policy),
                request: Some(key.clone()),
            };
            terms.push((pattern.matches(&key).ok()?, missed));
        }
        for node in &clause.rest {
            let missed = Missed {
                policy: policy_fields(node).first().copied(),
                request: None,
            };
            terms.push((self.bool(node, "&&").ok()?, missed));
        }
        if terms.len() < 2 {
            return None;
        }
        let mut failed = terms.into_iter().filter(|(holds, _)| !holds);
        match (failed.next(), failed.next()) {
            (Some((_, missed)), None) => Some(missed),
            _ => None,
        }
    }

    fn key_term(&self, key: &'s Key) -> Option<(bool, Missed)> {
        let cell = self.rows.cell(self.row?, key.policy())?;
        let value = self.symbols.text(cell);
        let (holds, text) = match key {
            Key::Equal { request, .. } => {
                let text = self.request_text(request)?;
                (text == value, text)
            }
            Key::Role {
                graph,
                member,
                domain,
                ..
            } => {
                let member = self.request_text(member)?;
                let domain = match domain {
                    Some(domain) => self.request_text(domain)?,
                    None => String::new(),
                };
                let graph = self.graphs.get(*graph)?;
                let linked = graph.has_link(&member, value, &domain, self.symbols);
                (linked, member)
            }
        };
        let missed = Missed {
            policy: Some(key.policy()),
            request: Some(text),
        };
        Some((holds, missed))
    }

    fn request_text(&self, place: &'s RequestPlace) -> Option<String> {
        match self.request_value(place.field, &place.path) {
            Ok(Value::Text(text)) => Some(text.into_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{BASELINE_MODEL, Source, compile};

    fn misses(model: &str, rules: &str, request: [&str; 3]) -> Vec<String> {
        let model = Source {
            name: "m",
            text: model,
        };
        let rules = Source {
            name: "r",
            text: rules,
        };
        let policy = compile(model, &[rules]).unwrap();
        policy
            .near_misses("", &request.map(RequestValue::from))
            .unwrap()
            .into_iter()
            .map(|own| {
                let request = own.request.unwrap_or_default();
                format!("{} {} {}/{request}", own.row.line, own.field, own.value)
            })
            .collect()
    }

    #[test]
    fn one_value_off() {
        let rules = "p, reader, doc, read\np, reader, doc, list\np, writer, doc, write\n\
            p, writer, other, write\ng, ann, reader\n";
        assert_eq!(
            misses(BASELINE_MODEL, rules, ["ann", "doc", "write"]),
            ["1 act read/write", "2 act list/write", "3 sub writer/ann"]
        );
        let paths = BASELINE_MODEL
            .replace("r.obj == p.obj", "keyMatch2(r.obj, p.obj)")
            .replace("r.act == p.act", "regexMatch(r.act, p.act)");
        let rules = "p, ann, /nodes/:id, GET\np, ann, /x, PUT\n";
        assert_eq!(
            misses(&paths, rules, ["ann", "/nodes/1", "PUT"]),
            ["1 act GET/", "2 obj /x//nodes/1"]
        );
    }

    #[test]
    fn none() {
        let lone = BASELINE_MODEL.replace(" && r.obj == p.obj && r.act == p.act", "");
        assert_eq!(misses(&lone, "p, a, b, c\n", ["x", "b", "c"]), [""; 0]);
        assert_eq!(misses(BASELINE_MODEL, "", ["x", "b", "c"]), [""; 0]);
        let rules = "p, a, b, c\n";
        assert_eq!(misses(BASELINE_MODEL, rules, ["a", "b", "c"]), [""; 0]);
    }
}

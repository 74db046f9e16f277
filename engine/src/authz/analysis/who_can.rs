use std::collections::BTreeSet;

use serde::Serialize;

use super::compared::{With, is_value};
use super::members;
use crate::authz::AuthzError;
use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::explain::ExplainedRow;
use crate::authz::value::RequestValue;

/// A subject that is allowed something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The subject, as rules and groupings call it.
    pub subject: String,
    /// The roles it goes through: the subject first, the name in the row last.
    pub path: Vec<String>,
    /// The row that decides; none where the policy allows what no row denies.
    pub row: Option<ExplainedRow>,
}

impl CompiledPolicy {
    /// Every subject that the policy names and allows `action` on `object`, sorted. Those are the
    /// values that the matcher compares the subject with, and the members and roles of relations.
    ///
    /// A name that the matcher cannot be evaluated on, such as one that is no address, is not
    /// allowed.
    ///
    /// # Errors
    /// [`AuthzError::RequestSize`] for a model whose requests are not subject, object and action;
    /// the error of the first name when the matcher can be evaluated on none.
    ///
    /// ```
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// let grants = policy.who_can("metadata:nodes", "update").unwrap();
    /// let subjects: Vec<&str> = grants.iter().map(|grant| grant.subject.as_str()).collect();
    /// assert_eq!(subjects, ["role:admin", "role:operator"]);
    /// ```
    pub fn who_can(&self, object: &str, action: &str) -> Result<Vec<Grant>, AuthzError> {
        let (number, matcher) = self.matcher("")?;
        if matcher.request_fields != 3 {
            return Err(AuthzError::RequestSize {
                expected: matcher.request_fields,
                found: 3,
            });
        }
        let mut grants = Vec::new();
        let mut failed = None;
        let mut answered = false;
        for subject in self.subjects(number, matcher) {
            let request: [RequestValue<'_>; 3] = [subject.into(), object.into(), action.into()];
            match self.evaluate(&request) {
                Ok(allowed) => {
                    answered = true;
                    if allowed {
                        let row = self.deciding_row(number, matcher, &request);
                        grants.push(grant(subject, row));
                    }
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            Some(error) if !answered => Err(error),
            _ => Ok(grants),
        }
    }

    /// Every name that a subject is compared with.
    pub(super) fn subjects<'p>(&'p self, number: usize, matcher: &'p Matcher) -> BTreeSet<&'p str> {
        self.names_of(0, number, matcher)
    }

    /// Every name that the request value `value` is compared with.
    pub(super) fn names_of<'p>(
        &'p self,
        value: usize,
        number: usize,
        matcher: &'p Matcher,
    ) -> BTreeSet<&'p str> {
        let mut found: BTreeSet<&'p str> = BTreeSet::new();
        let column = |field: usize| -> Vec<&'p str> {
            self.column(matcher.table, field)
                .into_iter()
                .map(|cell| self.symbols.text(cell))
                .collect()
        };
        for (place, with) in self.comparisons(number, matcher) {
            if !is_value(value, place) {
                continue;
            }
            match with {
                With::Field(policy) | With::Pattern { policy, .. } => found.extend(column(policy)),
                With::Role { graph, policy, .. } => {
                    found.extend(column(policy));
                    found.extend(members::names(self, graph));
                }
                With::NamedRole { graph, role } => {
                    found.insert(role);
                    found.extend(members::names(self, graph));
                }
                With::Text(text) => {
                    found.insert(text);
                }
                With::Number(_) | With::FixedPattern(_) | With::Domain { .. } => {}
            }
        }
        // A value left empty names nobody.
        found.remove("");
        found
    }
}

fn grant(subject: &str, row: Option<ExplainedRow>) -> Grant {
    let path = row
        .iter()
        .flat_map(|row| &row.roles)
        .find(|path| path.first().is_some_and(|first| first == subject))
        .cloned()
        .unwrap_or_else(|| vec![subject.to_owned()]);
    Grant {
        subject: subject.to_owned(),
        path,
        row,
    }
}

#[cfg(test)]
mod tests {
    use super::super::compiled as policy;
    use super::*;
    use crate::policy::BASELINE_MODEL;

    /// Subject, path and line of each.
    fn shown(policy: &CompiledPolicy, object: &str, action: &str) -> Vec<String> {
        policy
            .who_can(object, action)
            .unwrap()
            .into_iter()
            .map(|grant| {
                let line = grant.row.map_or(0, |row| row.line);
                format!("{} {} {line}", grant.subject, grant.path.join(">"))
            })
            .collect()
    }

    #[test]
    fn through_roles() {
        let rules = "p, reader, doc, read\np, ann, doc, write\n\
            g, team, reader\ng, ann, team\ng, bob, other\n";
        let policy = policy(BASELINE_MODEL, rules);
        assert_eq!(
            shown(&policy, "doc", "read"),
            [
                "ann ann>team>reader 1",
                "reader reader 1",
                "team team>reader 1"
            ]
        );
        assert_eq!(shown(&policy, "doc", "write"), ["ann ann 2"]);
        assert_eq!(shown(&policy, "none", "read"), [""; 0]);
    }

    #[test]
    fn constants_denials_and_errors() {
        let model = BASELINE_MODEL
            .replace("p = sub, obj, act", "p = sub, obj, act, eft")
            .replace(
                "some(where (p.eft == allow))",
                "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
            )
            .replace("m = g(", "m = r.sub == \"root\" || g(");
        let policy = policy(
            &model,
            "p, a, doc, read, allow\np, b, doc, read, allow\np, b, doc, read, deny\n",
        );
        // `root` matches every row, the one that denies too.
        assert_eq!(shown(&policy, "doc", "read"), ["a a 1"]);

        let model = BASELINE_MODEL.replace("g(r.sub, p.sub)", "ipMatch(r.sub, p.sub)");
        let addresses = self::policy(&model, "p, 10.0.0.0/8, doc, read\np, 10.0.0.1, doc, read\n");
        assert_eq!(shown(&addresses, "doc", "read"), ["10.0.0.1 10.0.0.1 1"]);
        let blocks = self::policy(&model, "p, 10.0.0.0/8, doc, read\n");
        let error = blocks.who_can("doc", "read").unwrap_err();
        assert_eq!(error.code(), "request_argument");
    }

    #[test]
    fn other_requests() {
        let model = BASELINE_MODEL.replace("r = sub, obj, act", "r = sub, obj, act, more");
        let error = policy(&model, "").who_can("doc", "read").unwrap_err();
        let expected = AuthzError::RequestSize {
            expected: 4,
            found: 3,
        };
        assert_eq!(error, expected);
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::AnalysisError;
use crate::authz::AuthzError;
use crate::authz::compiled::CompiledPolicy;

/// The most cells of a table that anybody could read.
const CELLS: usize = 20_000;

/// What somebody may do, for every object and action that the policy names.
///
/// A pattern stands as it is written, so that its cell says what holds for the pattern's own text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionTable {
    /// The objects, sorted.
    pub objects: Vec<String>,
    /// The actions, sorted.
    pub actions: Vec<String>,
    /// For each object, for each action, the name of the [`crate::authz::Decision`].
    pub decisions: Vec<Vec<&'static str>>,
}

impl CompiledPolicy {
    /// The table of a caller with `id` who is called `subjects` in rules.
    ///
    /// # Errors
    /// [`AnalysisError::Request`] for a model whose requests are not subject, object and action,
    /// and [`AnalysisError::TableTooLarge`].
    ///
    /// ```
    /// let policy = tokensmith_engine::policy::compile_baseline().unwrap();
    /// let table = policy.permission_table("boot", &["role:service".into()]).unwrap();
    /// assert_eq!(table.actions, ["create", "delete", "read", "update"]);
    /// assert_eq!((table.objects.len(), table.objects[3].as_str()), (7, "metadata:groups"));
    /// assert_eq!(table.decisions[3], ["deny", "deny", "allow", "deny"]);
    /// ```
    pub fn permission_table(
        &self,
        id: &str,
        subjects: &[Arc<str>],
    ) -> Result<PermissionTable, AnalysisError> {
        let (number, matcher) = self.matcher("")?;
        if matcher.request_fields != 3 {
            let (expected, found) = (matcher.request_fields, 3);
            return Err(AuthzError::RequestSize { expected, found }.into());
        }
        let objects = self.names_of(1, number, matcher);
        let actions = self.names_of(2, number, matcher);
        if objects.len().saturating_mul(actions.len()) > CELLS {
            return Err(AnalysisError::TableTooLarge {
                objects: objects.len(),
                actions: actions.len(),
                limit: CELLS,
            });
        }
        let decide = |object: &str, action: &str| -> &'static str {
            self.authorize_subjects(id, subjects, object, action, |_| {})
                .name()
        };
        let decisions: Vec<Vec<&'static str>> = objects
            .iter()
            .map(|&object| {
                actions
                    .iter()
                    .map(|&action| decide(object, action))
                    .collect()
            })
            .collect();
        let owned = |names: BTreeSet<&str>| -> Vec<String> {
            names.into_iter().map(str::to_owned).collect()
        };
        Ok(PermissionTable {
            decisions,
            objects: owned(objects),
            actions: owned(actions),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::compiled as policy;
    use crate::policy::BASELINE_MODEL;

    #[test]
    fn roles_patterns_and_nobody() {
        let model = BASELINE_MODEL.replace("r.obj == p.obj", "keyMatch2(r.obj, p.obj)");
        let rules = "p, reader, /nodes/:id, read\np, writer, /nodes, write\ng, user:ann, reader\n";
        let policy = policy(&model, rules);
        let table = policy
            .permission_table("ann", &["user:ann".into()])
            .unwrap();
        assert_eq!(table.objects, ["/nodes", "/nodes/:id"]);
        assert_eq!(table.actions, ["read", "write"]);
        assert_eq!(table.decisions, [["deny", "deny"], ["allow", "deny"]]);
        let nobody = policy.permission_table("ann", &[]).unwrap();
        assert_eq!(nobody.decisions, [["indeterminate"; 2]; 2]);
    }

    #[test]
    fn what_has_no_table() {
        let model = BASELINE_MODEL.replace("r = sub, obj, act", "r = sub, obj, act, more");
        let error = policy(&model, "")
            .permission_table("a", &["b".into()])
            .unwrap_err();
        assert_eq!(error.code(), "request_size");
        let rules: String = (0..150).map(|n| format!("p, a, o{n}, a{n}\n")).collect();
        let error = policy(BASELINE_MODEL, &rules)
            .permission_table("a", &["b".into()])
            .unwrap_err();
        assert_eq!(error.code(), "table_too_large");
    }
}

use crate::authz::compiled::{CompiledPolicy, Matcher};
use crate::authz::explain::ExplainedRow;
use crate::authz::first_rows::FirstRows;
use crate::authz::value::RequestValue;
use crate::policy::Effect;

impl CompiledPolicy {
    /// The row that decides a request, the same that [`CompiledPolicy::explain`] names, found by
    /// the index; `None` when none does, or when it cannot be told.
    pub(super) fn deciding_row(
        &self,
        number: usize,
        matcher: &Matcher,
        request: &[RequestValue<'_>],
    ) -> Option<ExplainedRow> {
        if !self.looks_at_rows(matcher) {
            return None;
        }
        let rows = self.tables.get(matcher.table)?;
        let scope = self.scope(number, rows, request);
        let mut first = FirstRows::default();
        for (clause, index) in &matcher.clauses {
            // This effect never ends a search early: the first of all rows are found.
            index
                .find(clause, &scope, Effect::Priority, &mut first)
                .ok()?;
        }
        let row = first.decisive(matcher.effect)?;
        Some(self.explained(matcher, &scope, row as usize, true))
    }
}

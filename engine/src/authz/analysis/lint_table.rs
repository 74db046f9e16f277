use super::lint::{Report, Severity};
use crate::authz::compiled::CompiledPolicy;
use crate::authz::rows::Rows;
use crate::policy::Origin;

/// The rows of one kind.
pub(super) struct Table<'p> {
    pub(super) policy: &'p CompiledPolicy,
    pub(super) rows: &'p Rows,
    pub(super) kind: &'p str,
    pub(super) fields: &'p [String],
}

impl<'p> Table<'p> {
    /// The row as it is written, in backticks.
    pub(super) fn shown(&self, row: usize) -> String {
        let mut text = format!("`{}", self.kind);
        for cell in self.cells(row) {
            text.push_str(", ");
            text.push_str(self.policy.symbols.text(*cell));
        }
        text.push('`');
        text
    }

    /// The row as it is written, and where.
    pub(super) fn placed(&self, row: usize) -> String {
        let origin = self.origin(row);
        let source = origin.and_then(|own| self.policy.sources.get(own.source as usize));
        let source = source.map(ToString::to_string).unwrap_or_default();
        let line = origin.map_or(0, |own| own.line);
        format!("{} ({source}:{line})", self.shown(row))
    }

    /// All values of a row.
    pub(super) fn cells(&self, row: usize) -> &'p [u32] {
        let start = row * self.rows.width;
        self.rows
            .cells
            .get(start..start + self.rows.width)
            .unwrap_or_default()
    }

    /// Rows in the order they were read.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|row| self.rows.origins.get(*row).copied());
        order
    }

    /// Adds a finding on a row.
    pub(super) fn add(
        &self,
        code: &'static str,
        severity: Severity,
        row: usize,
        message: String,
        report: &mut Report<'_>,
    ) {
        report.add(code, severity, self.origin(row), message);
    }

    /// The line a row is in.
    pub(super) fn origin(&self, row: usize) -> Option<Origin> {
        let index = self.rows.origins.get(row)?;
        self.policy.origins.get(*index as usize).copied()
    }
}

use hashbrown::HashMap;

use super::functions::{Function, Pattern};
use super::node::Node;

/// The rows of one kind, in the order they are looked at.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) width: usize,
    /// Row after row, the symbols of the values.
    pub(super) cells: Vec<u32>,
    pub(super) denies: Vec<bool>,
    /// For each row, its position in [`crate::policy::Rules`].
    pub(super) origins: Vec<u32>,
    /// The values that a matcher takes as patterns.
    pub(super) patterns: HashMap<(Function, u32), Pattern>,
    /// The values that a matcher evaluates, by matcher.
    pub(super) rules: HashMap<(usize, u32), Node>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.denies.len()
    }

    pub(super) fn cell(&self, row: usize, field: usize) -> Option<u32> {
        self.cells.get(row * self.width + field).copied()
    }

    pub(super) fn denies(&self, row: usize) -> bool {
        self.denies.get(row).copied().unwrap_or(true)
    }

    /// The bytes it takes, roughly; compiled patterns count by their number.
    pub(super) fn bytes(&self) -> usize {
        self.cells.capacity() * 4
            + self.denies.capacity()
            + self.origins.capacity() * 4
            + self.patterns.allocation_size()
            + self.rules.allocation_size()
    }
}

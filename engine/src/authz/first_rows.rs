use crate::policy::Effect;

const NONE: u32 = u32::MAX;

/// The first row that allows and the first that denies: all that any effect asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstRows {
    allow: u32,
    deny: u32,
}

impl Default for FirstRows {
    fn default() -> Self {
        Self {
            allow: NONE,
            deny: NONE,
        }
    }
}

impl FirstRows {
    pub(super) fn add(&mut self, row: u32, denies: bool) {
        let first = if denies {
            &mut self.deny
        } else {
            &mut self.allow
        };
        *first = (*first).min(row);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.allow = self.allow.min(other.allow);
        self.deny = self.deny.min(other.deny);
    }

    /// Whether no further row can change what `effect` makes of these.
    pub(super) fn is_decided(self, effect: Effect) -> bool {
        match effect {
            Effect::AllowOverride => self.allow != NONE,
            Effect::DenyOverride | Effect::AllowAndDeny => self.deny != NONE,
            // A row found later may come before.
            Effect::Priority | Effect::SubjectPriority => false,
        }
    }

    pub(super) fn allows(self, effect: Effect) -> bool {
        match effect {
            Effect::AllowOverride => self.allow != NONE,
            Effect::DenyOverride => self.deny == NONE,
            Effect::AllowAndDeny => self.allow != NONE && self.deny == NONE,
            Effect::Priority | Effect::SubjectPriority => self.allow < self.deny,
        }
    }

    /// The row that decided, if one did.
    pub(super) fn decisive(self, effect: Effect) -> Option<u32> {
        let row = match effect {
            Effect::AllowOverride => self.allow,
            Effect::DenyOverride => self.deny,
            Effect::AllowAndDeny if self.deny != NONE => self.deny,
            Effect::AllowAndDeny => self.allow,
            Effect::Priority | Effect::SubjectPriority => self.allow.min(self.deny),
        };
        (row != NONE).then_some(row)
    }
}

/// The answer of a policy. Only [`Decision::Allow`] lets a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// A rule allows.
    Allow,
    /// No rule allows, or a rule denies.
    Deny,
    /// There was nothing to decide on: no principal id, no roles, no object or no action.
    Indeterminate,
    /// The policy could not be evaluated.
    Error,
}

impl Decision {
    /// The value in deny bodies, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Deny => "deny",
            Decision::Indeterminate => "indeterminate",
            Decision::Error => "error",
        }
    }
}

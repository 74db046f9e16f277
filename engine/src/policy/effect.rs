use super::{Location, PolicyError};

/// `policy_effect`: how matching rows decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `some(where (p.eft == allow))`: allowed when a row allows.
    AllowOverride,
    /// `!some(where (p.eft == deny))`: allowed unless a row denies.
    DenyOverride,
    /// `some(where (p.eft == allow)) && !some(where (p.eft == deny))`: allowed when a row allows
    /// and none denies.
    AllowAndDeny,
    /// `priority(p.eft) || deny`: the first row decides.
    Priority,
    /// `subjectPriority(p.eft) || deny`: the first row decides, those of the most special
    /// subjects coming first.
    SubjectPriority,
}

impl Effect {
    const ALL: [(Effect, &'static str, &'static str); 5] = [
        (
            Effect::AllowOverride,
            "some(where (p.eft == allow))",
            "allow-override",
        ),
        (
            Effect::DenyOverride,
            "!some(where (p.eft == deny))",
            "deny-override",
        ),
        (
            Effect::AllowAndDeny,
            "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
            "allow-and-deny",
        ),
        (Effect::Priority, "priority(p.eft) || deny", "priority"),
        (
            Effect::SubjectPriority,
            "subjectPriority(p.eft) || deny",
            "subject-priority",
        ),
    ];

    /// Whether the first matching row decides.
    pub fn is_first_match(self) -> bool {
        matches!(self, Effect::Priority | Effect::SubjectPriority)
    }

    /// A name for reports.
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(effect, _, _)| *effect == self)
            .map_or("", |(_, _, name)| name)
    }

    /// Reads an effect; as in Casbin each has one spelling.
    pub(super) fn parse(text: &str, at: &Location) -> Result<Self, PolicyError> {
        Self::ALL
            .into_iter()
            .find(|(_, spelling, _)| *spelling == text)
            .map(|(effect, _, _)| effect)
            .ok_or_else(|| PolicyError::Syntax {
                at: at.clone(),
                message: format!(
                    "policy effect `{text}` is none of {}",
                    Self::ALL
                        .map(|(_, spelling, _)| format!("`{spelling}`"))
                        .join(", ")
                ),
            })
    }
}

use std::sync::Arc;

use crate::binding::{BindingError, Confirmation, Presented, check_binding};
use crate::claims::{ClaimRules, Claims, Profile};
use crate::jose::Header;
use crate::principal::PrincipalMapping;

/// A token whose signature and claims were verified. Only [`super::SignatureJob::finish`] makes
/// one.
#[derive(Clone, Debug)]
pub struct Verified {
    header: Header,
    claims: Claims,
    rules: Arc<ClaimRules>,
    confirmation: Option<Confirmation>,
}

impl Verified {
    pub(super) fn new(
        header: Header,
        claims: Claims,
        rules: Arc<ClaimRules>,
        confirmation: Option<Confirmation>,
    ) -> Self {
        Self {
            header,
            claims,
            rules,
            confirmation,
        }
    }

    /// The protected header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The verified claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What the token is bound to.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// Whether the rules demand that the token is bound to its sender.
    pub(crate) fn must_be_bound(&self) -> bool {
        self.rules.requirements.sender_constrained
    }

    /// Whether the token is the caller's own: all it is bound to was presented, its scheme fits,
    /// and it is bound where the rules demand that.
    ///
    /// # Errors
    /// [`BindingError`].
    pub(super) fn check_binding(&self, presented: &Presented<'_>) -> Result<(), BindingError> {
        check_binding(self.confirmation.as_ref(), self.must_be_bound(), presented)
    }

    /// The profile the claims were checked by.
    pub fn profile(&self) -> Profile {
        self.rules.profile
    }

    /// How the claims become a principal.
    pub fn principal_mapping(&self) -> &PrincipalMapping {
        &self.rules.principal
    }

    /// The first second (Unix time) at which the token is no longer accepted, leeway included.
    pub fn valid_until(&self) -> i64 {
        self.rules.valid_until(&self.claims)
    }
}

use std::sync::Arc;

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
}

impl Verified {
    pub(super) fn new(header: Header, claims: Claims, rules: Arc<ClaimRules>) -> Self {
        Self {
            header,
            claims,
            rules,
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

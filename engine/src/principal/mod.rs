//! Who a verified token makes the caller.

mod mapping;

use std::sync::Arc;

use crate::claims::Claims;
use crate::verify::Verified;

pub use mapping::{ClaimPath, PrincipalMapping, RoleClaim, SubjectKind};

/// The kind of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalType {
    /// A person.
    User,
    /// A program that authenticated as itself.
    Service,
}

/// An authenticated caller. Only verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    id: Arc<str>,
    principal_type: PrincipalType,
    roles: Vec<Box<str>>,
    scopes: Vec<Box<str>>,
    subjects: Vec<Arc<str>>,
}

impl Principal {
    /// The principal of a verified token: `sub`, the scopes, and the roles by the
    /// [`PrincipalMapping`] of its issuer.
    pub fn from_verified(verified: &Verified) -> Self {
        let claims = verified.claims();
        let mapping = verified.principal_mapping();
        let roles = normalise_roles(mapping.roles(claims).into_iter());
        let principal_type = if mapping.is_service(claims) {
            PrincipalType::Service
        } else {
            principal_type(claims)
        };
        let mut principal = Self {
            id: claims.sub().unwrap_or_default().into(),
            principal_type,
            scopes: claims.scopes().map(Into::into).collect(),
            roles,
            subjects: Vec::new(),
        };
        for kind in &mapping.subjects {
            principal.add_subjects(*kind, || mapping.groups(claims));
        }
        principal
    }

    /// `sub`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// User or service.
    pub fn principal_type(&self) -> PrincipalType {
        self.principal_type
    }

    /// Role names without the prefix `role:`, each once.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// Scopes in the token's order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.scopes.iter().map(AsRef::as_ref)
    }

    /// What the principal is called in policy rules, by the kinds of its issuer's mapping; by
    /// default `role:<name>` for each role, in the order of [`Principal::roles`].
    pub fn subjects(&self) -> impl ExactSizeIterator<Item = &str> {
        self.subjects.iter().map(AsRef::as_ref)
    }

    /// [`Principal::id`], to keep without copying.
    pub(crate) fn shared_id(&self) -> &Arc<str> {
        &self.id
    }

    /// [`Principal::subjects`], to keep without copying.
    pub(crate) fn shared_subjects(&self) -> &[Arc<str>] {
        &self.subjects
    }

    fn add_subjects<'c>(&mut self, kind: SubjectKind, groups: impl Fn() -> Vec<&'c str>) {
        let subjects: Vec<Arc<str>> = match kind {
            SubjectKind::Role => prefixed("role", self.roles()),
            SubjectKind::User if self.principal_type == PrincipalType::User => {
                prefixed("user", [self.id()].into_iter())
            }
            SubjectKind::Service if self.principal_type == PrincipalType::Service => {
                prefixed("service", [self.id()].into_iter())
            }
            SubjectKind::User | SubjectKind::Service => Vec::new(),
            SubjectKind::Group => prefixed("group", groups().into_iter()),
            SubjectKind::Scope => prefixed("scope", self.scopes()),
        };
        for subject in subjects {
            if !self.subjects.contains(&subject) {
                self.subjects.push(subject);
            }
        }
    }
}

fn prefixed<'n>(kind: &str, names: impl Iterator<Item = &'n str>) -> Vec<Arc<str>> {
    names
        .filter(|name| !name.trim().is_empty())
        .map(|name| format!("{kind}:{name}").into())
        .collect()
}

impl PrincipalType {
    /// `user` or `service`.
    pub fn name(self) -> &'static str {
        match self {
            PrincipalType::User => "user",
            PrincipalType::Service => "service",
        }
    }
}

/// TokenSmith's service tokens say so in `principal_type`; upstream's only in `auth_methods`.
pub(crate) fn principal_type(claims: &Claims) -> PrincipalType {
    match claims.string("principal_type") {
        Some("service") => return PrincipalType::Service,
        Some(_) => return PrincipalType::User,
        None => {}
    }
    let service = claims.strings("auth_methods").any(|method| {
        matches!(
            method,
            "bootstrap_exchange" | "service_identity_mtls" | "service"
        )
    });
    if service {
        PrincipalType::Service
    } else {
        PrincipalType::User
    }
}

/// Trims, drops one leading `role:`, drops empties and keeps the first of equals.
fn normalise_roles<'r>(roles: impl Iterator<Item = &'r str>) -> Vec<Box<str>> {
    let mut kept: Vec<Box<str>> = Vec::new();
    for role in roles {
        let role = role.trim();
        let role = role.strip_prefix("role:").unwrap_or(role);
        if !role.is_empty() && !kept.iter().any(|other| **other == *role) {
            kept.push(role.into());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_normalised() {
        let roles = [
            "role:viewer",
            " viewer ",
            "viewer",
            "role:role:viewer",
            "",
            "role:",
            " ",
        ];
        let kept = normalise_roles(roles.into_iter());
        assert_eq!(
            kept.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            ["viewer", "role:viewer"]
        );
    }
}

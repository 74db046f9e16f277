use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims::Claims;

/// Which claims make a caller's roles, and which clients are services. By default roles are the
/// claim `roles`.
///
/// ```
/// use tokensmith_engine::principal::PrincipalMapping;
/// let mapping: PrincipalMapping = serde_json::from_str(r#"{
///     "roles": [{"claim": ["realm_access", "roles"], "prefix": "site-"}],
///     "group_roles": {"hpc-admins": ["admin"]},
///     "service_clients": ["boot-service"]
/// }"#).unwrap();
/// assert!(mapping.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrincipalMapping {
    /// Claims whose strings are roles.
    pub roles: Vec<RoleClaim>,
    /// The claim with the caller's groups.
    pub groups: ClaimPath,
    /// Roles by group.
    #[serde(alias = "groupRoles", skip_serializing_if = "BTreeMap::is_empty")]
    pub group_roles: BTreeMap<String, Vec<String>>,
    /// Clients (`azp`, else `client_id`) whose tokens are a service's own.
    #[serde(alias = "serviceClients", skip_serializing_if = "Vec::is_empty")]
    pub service_clients: Vec<String>,
    /// What a caller is called in policy rules; by its roles only, if nothing else is said.
    pub subjects: Vec<SubjectKind>,
}

/// A kind of name that a caller has in policy rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// `role:<name>` for each role.
    Role,
    /// `user:<id>`, for users.
    User,
    /// `service:<id>`, for services.
    Service,
    /// `group:<name>` for each group.
    Group,
    /// `scope:<name>` for each scope.
    Scope,
}

/// A claim whose strings are roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleClaim {
    /// The claim.
    pub claim: ClaimPath,
    /// Only strings with this prefix are roles, without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A claim's name, or the names that lead to it through objects. A dot in a name is a dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClaimPath {
    /// A claim of the token itself.
    Name(String),
    /// A member of a member.
    Nested(Vec<String>),
}

impl PrincipalMapping {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The field within the mapping and a sentence.
    pub fn check(&self) -> Result<(), (String, String)> {
        for (index, source) in self.roles.iter().enumerate() {
            source
                .claim
                .check()
                .map_err(|message| (format!("roles[{index}].claim"), message))?;
        }
        self.groups
            .check()
            .map_err(|message| ("groups".to_owned(), message))?;
        if self.subjects.is_empty() {
            let message = "needs at least one kind of subject".to_owned();
            return Err(("subjects".to_owned(), message));
        }
        for (group, roles) in &self.group_roles {
            if roles.iter().any(|role| role.trim().is_empty()) {
                let message = "a role is empty".to_owned();
                return Err((format!("group_roles.{group}"), message));
            }
        }
        Ok(())
    }

    /// The roles the claims make, in the order of the mapping, not yet normalised.
    pub(super) fn roles<'c>(&'c self, claims: &'c Claims) -> Vec<&'c str> {
        let mut roles = Vec::new();
        for source in &self.roles {
            let strings = source.claim.strings(claims);
            roles.extend(
                strings
                    .into_iter()
                    .filter_map(|text| text.strip_prefix(source.prefix.as_str())),
            );
        }
        if !self.group_roles.is_empty() {
            let groups = self.groups.strings(claims);
            let granted = groups
                .iter()
                .filter_map(|group| self.group_roles.get(*group));
            roles.extend(granted.flatten().map(String::as_str));
        }
        roles
    }

    /// The caller's groups.
    pub(super) fn groups<'c>(&self, claims: &'c Claims) -> Vec<&'c str> {
        self.groups.strings(claims)
    }

    /// Whether the token is a service's own.
    pub(super) fn is_service(&self, claims: &Claims) -> bool {
        // A user's token that a service's client got by exchange names that client too.
        if claims.string("principal_type").is_some() {
            return false;
        }
        let client = claims.string("azp").or_else(|| claims.string("client_id"));
        client.is_some_and(|client| self.service_clients.iter().any(|own| own == client))
    }
}

impl Default for PrincipalMapping {
    fn default() -> Self {
        Self {
            roles: vec![RoleClaim {
                claim: ClaimPath::Name("roles".to_owned()),
                prefix: String::new(),
            }],
            groups: ClaimPath::Name("groups".to_owned()),
            group_roles: BTreeMap::new(),
            service_clients: Vec::new(),
            subjects: vec![SubjectKind::Role],
        }
    }
}

impl ClaimPath {
    /// Checks that there are names.
    pub(crate) fn check(&self) -> Result<(), String> {
        let names = self.names();
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("a claim needs a name".to_owned());
        }
        Ok(())
    }

    /// The names that lead to the claim.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            ClaimPath::Name(name) => std::slice::from_ref(name),
            ClaimPath::Nested(names) => names,
        }
    }

    /// The claim, whatever it is.
    pub(crate) fn value<'c>(&self, claims: &'c Claims) -> Option<&'c Value> {
        let (first, rest) = self.names().split_first()?;
        rest.iter()
            .try_fold(claims.all().get(first)?, |value, name| {
                value.as_object()?.get(name)
            })
    }

    /// The strings of the claim: one, or those of an array.
    fn strings<'c>(&self, claims: &'c Claims) -> Vec<&'c str> {
        match self {
            ClaimPath::Name(name) => claims.strings(name).collect(),
            ClaimPath::Nested(_) => match self.value(claims) {
                Some(Value::String(text)) => vec![text],
                Some(Value::Array(elements)) => elements.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Limits;

    #[test]
    fn roles_of_claims_prefixes_and_groups() {
        let claims = r#"{
            "roles": ["viewer"], "groups": ["hpc", "other"],
            "realm_access": {"roles": ["site-admin", "offline_access"]},
            "https://site.example/roles": "auditor", "azp": "boot"
        }"#;
        let claims = Claims::parse(claims, &Limits::default()).unwrap();
        for (mapping, roles, service) in [
            ("{}", vec!["viewer"], false),
            (r#"{"roles": []}"#, vec![], false),
            (
                r#"{"roles": [{"claim": ["realm_access", "roles"], "prefix": "site-"}]}"#,
                vec!["admin"],
                false,
            ),
            (
                r#"{"roles": [{"claim": "https://site.example/roles"}, {"claim": "roles"}]}"#,
                vec!["auditor", "viewer"],
                false,
            ),
            (
                r#"{"roles": [{"claim": ["realm_access", "roles", "x"]}, {"claim": ["azp", "x"]}]}"#,
                vec![],
                false,
            ),
            (
                r#"{"group_roles": {"hpc": ["operator", "viewer"]}, "service_clients": ["boot"]}"#,
                vec!["viewer", "operator", "viewer"],
                true,
            ),
        ] {
            let mapping: PrincipalMapping = serde_json::from_str(mapping).unwrap();
            assert_eq!(mapping.roles(&claims), roles, "{mapping:?}");
            assert_eq!(mapping.is_service(&claims), service, "{mapping:?}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (mapping, place) in [
            (
                r#"{"roles": [{"claim": "roles"}, {"claim": []}]}"#,
                "roles[1].claim",
            ),
            (r#"{"groups": ["a", ""]}"#, "groups"),
            (r#"{"group_roles": {"x": [" "]}}"#, "group_roles.x"),
            (r#"{"subjects": []}"#, "subjects"),
        ] {
            let mapping: PrincipalMapping = serde_json::from_str(mapping).unwrap();
            assert_eq!(mapping.check().unwrap_err().0, place);
        }
        assert!(serde_json::from_str::<PrincipalMapping>(r#"{"role": []}"#).is_err());
    }
}

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Which scopes and roles membership in a group grants.
///
/// ```
/// use tokensmith_engine::exchange::GroupGrants;
/// let grants = GroupGrants::default().grants(["operator", "unknown"]);
/// assert_eq!(grants.scopes, ["read", "write"]);
/// assert_eq!(grants.roles, ["operator"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupGrants {
    /// Group to scopes.
    pub scopes: BTreeMap<String, Vec<String>>,
    /// Group to roles.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// What a caller's groups grant together: unions, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Scopes.
    pub scopes: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
}

impl GroupGrants {
    /// The union of what `groups` grant; unknown groups grant nothing.
    pub fn grants<'g>(&self, groups: impl IntoIterator<Item = &'g str>) -> Grants {
        let mut scopes = BTreeSet::new();
        let mut roles = BTreeSet::new();
        for group in groups {
            scopes.extend(self.scopes.get(group).into_iter().flatten());
            roles.extend(self.roles.get(group).into_iter().flatten());
        }
        Grants {
            scopes: scopes.into_iter().cloned().collect(),
            roles: roles.into_iter().cloned().collect(),
        }
    }
}

impl Default for GroupGrants {
    fn default() -> Self {
        let map = |rows: &[(&str, &[&str])]| {
            rows.iter()
                .map(|(group, names)| {
                    (
                        (*group).to_owned(),
                        names.iter().map(|name| (*name).to_owned()).collect(),
                    )
                })
                .collect()
        };
        Self {
            scopes: map(&[
                ("admin", &["admin", "write", "read"]),
                ("operator", &["write", "read"]),
                ("viewer", &["read"]),
                ("user", &["read"]),
            ]),
            roles: map(&[
                ("admin", &["admin"]),
                ("operator", &["operator"]),
                ("viewer", &["viewer"]),
                ("user", &["viewer"]),
            ]),
        }
    }
}

/// Narrows `granted` to `requested`: a request can take away, never add (RFC 8693 section 2.1).
///
/// # Errors
/// The first requested scope that is not granted.
pub fn narrow_scopes(granted: &[String], requested: &[String]) -> Result<Vec<String>, String> {
    if let Some(excess) = requested.iter().find(|scope| !granted.contains(scope)) {
        return Err(excess.clone());
    }
    Ok(granted
        .iter()
        .filter(|scope| requested.contains(scope))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_never_adds() {
        let granted = vec!["read".to_owned(), "write".to_owned()];
        assert_eq!(
            narrow_scopes(&granted, &["read".to_owned()]),
            Ok(vec!["read".to_owned()])
        );
        assert_eq!(
            narrow_scopes(&granted, &["admin".to_owned()]),
            Err("admin".to_owned())
        );
        assert_eq!(narrow_scopes(&granted, &[]), Ok(vec![]));
    }
}

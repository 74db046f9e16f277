use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::functions::Function;

/// What Casbin takes from code and not from the model: for whom names in a role relation stand.
///
/// ```
/// use tokensmith_engine::authz::CompileOptions;
/// let options: CompileOptions =
///     serde_json::from_str(r#"{"role_matching": {"g2": "keyMatch2"}}"#).unwrap();
/// assert!(options.check(["g", "g2"].into_iter()).is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileOptions {
    /// By role relation (`g`, `g2`...) the function that names are patterns of: Casbin's
    /// `AddNamedMatchingFunc`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role_matching: BTreeMap<String, String>,
    /// By role relation the function that domains are patterns of: Casbin's
    /// `AddNamedDomainMatchingFunc`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub domain_matching: BTreeMap<String, String>,
}

impl CompileOptions {
    /// Checks the names of functions, and of relations against those the model has.
    ///
    /// # Errors
    /// The field within the options and a sentence.
    pub fn check<'m>(
        &self,
        relations: impl Iterator<Item = &'m str> + Clone,
    ) -> Result<(), (String, String)> {
        for (field, map) in [
            ("role_matching", &self.role_matching),
            ("domain_matching", &self.domain_matching),
        ] {
            for (relation, name) in map {
                if !relations.clone().any(|own| own == relation) {
                    return Err((
                        format!("{field}.{relation}"),
                        "the model has no such role relation".to_owned(),
                    ));
                }
                if predicate(name).is_none() {
                    return Err((
                        format!("{field}.{relation}"),
                        format!("`{name}` is not a function that matches a key with a pattern"),
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn names(&self, relation: &str) -> Option<Function> {
        self.role_matching
            .get(relation)
            .and_then(|name| predicate(name))
    }

    pub(super) fn domains(&self, relation: &str) -> Option<Function> {
        self.domain_matching
            .get(relation)
            .and_then(|name| predicate(name))
    }
}

fn predicate(name: &str) -> Option<Function> {
    Function::from_name(name).filter(|function| function.is_predicate())
}

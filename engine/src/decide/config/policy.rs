use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ConfigError;

/// A policy: `rules` given here, or a signed bundle fetched from `bundle_uri`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Casbin model text; the baseline model when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Casbin rules as CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// By role relation the function that names are patterns of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub role_matching: BTreeMap<String, String>,
    /// By role relation the function that domains are patterns of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domain_matching: BTreeMap<String, String>,
    /// Where a signed bundle is fetched from, see [`crate::policy::BundleVerifier`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_uri: Option<String>,
    /// The Envoy cluster that reaches `bundle_uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_cluster: Option<String>,
    /// The bundle's exact `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_issuer: Option<String>,
    /// The keys that bundles are signed with, a JWK set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_jwks: Option<Value>,
    /// Where these keys are fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_jwks_uri: Option<String>,
    /// The Envoy cluster that reaches `bundle_jwks_uri`; `bundle_cluster` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_jwks_cluster: Option<String>,
}

impl PolicyConfig {
    /// Checks which fields go together. `field` is the path of this one.
    pub(super) fn check(&self, field: &str) -> Result<(), ConfigError> {
        let refused =
            |name: &str, message: &str| Err(ConfigError::field(format!("{field}.{name}"), message));
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        if self.bundle_uri.is_none() {
            if self.rules.is_none() {
                return refused("rules", "give one of `rules` and `bundle_uri`");
            }
            return match self.of_a_bundle() {
                Some(name) => refused(name, "is for `bundle_uri` only"),
                None => Ok(()),
            };
        }
        if !given(&self.bundle_uri) {
            return refused("bundle_uri", "is empty");
        }
        if let Some(name) = self.of_a_text() {
            return refused(name, "is in the bundle: leave it out, or `bundle_uri`");
        }
        if !given(&self.bundle_issuer) {
            return refused("bundle_issuer", "is required with `bundle_uri`");
        }
        if self.bundle_jwks.is_some() == self.bundle_jwks_uri.is_some() {
            return refused(
                "bundle_jwks",
                "give exactly one of `bundle_jwks` and `bundle_jwks_uri`",
            );
        }
        if self.bundle_jwks_uri.is_some() && !given(&self.bundle_jwks_uri) {
            return refused("bundle_jwks_uri", "is empty");
        }
        if self.bundle_jwks_cluster.is_some() && self.bundle_jwks_uri.is_none() {
            return refused("bundle_jwks_cluster", "is for `bundle_jwks_uri` only");
        }
        Ok(())
    }

    fn of_a_bundle(&self) -> Option<&'static str> {
        let texts = [
            (self.bundle_cluster.is_some(), "bundle_cluster"),
            (self.bundle_issuer.is_some(), "bundle_issuer"),
            (self.bundle_jwks.is_some(), "bundle_jwks"),
            (self.bundle_jwks_uri.is_some(), "bundle_jwks_uri"),
            (self.bundle_jwks_cluster.is_some(), "bundle_jwks_cluster"),
        ];
        texts
            .iter()
            .find(|(is_given, _)| *is_given)
            .map(|(_, name)| *name)
    }

    fn of_a_text(&self) -> Option<&'static str> {
        let texts = [
            (self.model.is_some(), "model"),
            (self.rules.is_some(), "rules"),
            (!self.role_matching.is_empty(), "role_matching"),
            (!self.domain_matching.is_empty(), "domain_matching"),
        ];
        texts
            .iter()
            .find(|(is_given, _)| *is_given)
            .map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_together() {
        let cases = [
            (json!({"rules": ""}), None),
            (json!({"model": "m", "rules": "r"}), None),
            (json!({}), Some("policy.rules")),
            (json!({"model": "m"}), Some("policy.rules")),
            (
                json!({"rules": "", "bundle_issuer": "i"}),
                Some("policy.bundle_issuer"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks": {}}),
                None,
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks_uri": "j", "bundle_jwks_cluster": "c"}),
                None,
            ),
            (
                json!({"bundle_uri": "", "bundle_issuer": "i", "bundle_jwks": {}}),
                Some("policy.bundle_uri"),
            ),
            (
                json!({"bundle_uri": "u", "rules": "", "bundle_issuer": "i", "bundle_jwks": {}}),
                Some("policy.rules"),
            ),
            (
                json!({"bundle_uri": "u", "role_matching": {"g": "f"}, "bundle_issuer": "i", "bundle_jwks": {}}),
                Some("policy.role_matching"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_jwks": {}}),
                Some("policy.bundle_issuer"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i"}),
                Some("policy.bundle_jwks"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks": {}, "bundle_jwks_uri": "j"}),
                Some("policy.bundle_jwks"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks_uri": ""}),
                Some("policy.bundle_jwks_uri"),
            ),
            (
                json!({"bundle_uri": "u", "bundle_issuer": "i", "bundle_jwks": {}, "bundle_jwks_cluster": "c"}),
                Some("policy.bundle_jwks_cluster"),
            ),
        ];
        for (config, expected) in cases {
            let policy: PolicyConfig = serde_json::from_value(config.clone()).unwrap();
            let found = policy.check("policy").err().map(|error| match error {
                ConfigError::Field { field, .. } => field,
                ConfigError::Json(message) => message,
            });
            assert_eq!(found.as_deref(), expected, "{config}");
        }
    }
}

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::toml_line;
use crate::config_file::ConfigFile;
use crate::service::{Origin, Settings, ShownSetting, ShownValue};

/// Everything that is configured.
pub(super) struct Shown {
    /// Beside the settings of `serve`.
    sections: Vec<ShownSetting>,
    serve: Vec<ShownSetting>,
    /// Of the plugins' files, by their settings.
    digests: Vec<(&'static str, String)>,
}

impl Shown {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            sections: sections(&settings.config),
            digests: settings.config.plugins.digests(),
            serve: settings.shown,
        }
    }

    /// As a configuration file, with each value's origin behind it.
    pub(super) fn toml(&self, config: Option<&Path>) -> String {
        let mut text = match config {
            Some(path) => {
                let path = Value::from(path.display().to_string());
                format!("# configuration file: {}\n", toml_line::inline(&path))
            }
            None => "# no configuration file\n".to_owned(),
        };
        for setting in &self.sections {
            text.push_str(&line(setting));
        }
        for (name, digest) in &self.digests {
            text.push_str(&format!("# SHA-256 of plugins.{name}: {digest}\n"));
        }
        text.push_str("\n[serve]\n");
        for setting in &self.serve {
            text.push_str(&line(setting));
        }
        text
    }

    /// `{"name": {"value": .., "origin": ".."}}`.
    pub(super) fn json(&self) -> Value {
        let all = self.sections.iter().chain(&self.serve);
        let mut members: Map<String, Value> = all
            .map(|setting| {
                let value = match &setting.value {
                    ShownValue::Unset => Value::Null,
                    ShownValue::Value(value) => value.clone(),
                    ShownValue::Secret(there) => secret(*there).into(),
                };
                let member = json!({"value": value, "origin": setting.origin.name()});
                (setting.name.to_owned(), member)
            })
            .collect();
        if !self.digests.is_empty() {
            let digests = self.digests.iter().cloned();
            let digests: BTreeMap<&str, String> = digests.collect();
            let member = json!({"value": digests, "origin": Origin::File.name()});
            members.insert("plugin_digests".to_owned(), member);
        }
        members.into()
    }
}

fn line(setting: &ShownSetting) -> String {
    let (name, origin) = (setting.name, setting.origin.name());
    match &setting.value {
        ShownValue::Unset => format!("# {name} is not set # {origin}\n"),
        ShownValue::Value(value) => format!("{name} = {} # {origin}\n", toml_line::inline(value)),
        ShownValue::Secret(there) => format!("# {name} is {} # {origin}\n", secret(*there)),
    }
}

fn secret(there: bool) -> &'static str {
    if there { "set" } else { "not set" }
}

fn sections(file: &ConfigFile) -> Vec<ShownSetting> {
    let default = ConfigFile::with_default_grants();
    vec![
        section("groupScopes", &file.group_scopes, &default.group_scopes),
        section("groupRoles", &file.group_roles, &default.group_roles),
        section("subjectClaim", &file.subject_claim, &None),
        section(
            "claimDefaults",
            &file.claim_defaults,
            &default.claim_defaults,
        ),
        section("oidc", &file.oidc, &Some(Default::default())),
        list("clients", &file.clients),
        list("service_identities", &file.service_identities),
        list("exchange", &file.exchange),
        ShownSetting {
            name: "plugins",
            value: shown(&file.plugins),
            origin: if file.plugins.is_empty() {
                Origin::Default
            } else {
                Origin::File
            },
        },
    ]
}

fn section<T: Serialize>(
    name: &'static str,
    file: &Option<T>,
    default: &Option<T>,
) -> ShownSetting {
    let (value, origin) = match (file, default) {
        (Some(value), _) => (shown(value), Origin::File),
        (None, Some(value)) => (shown(value), Origin::Default),
        (None, None) => (ShownValue::Unset, Origin::Default),
    };
    ShownSetting {
        name,
        value,
        origin,
    }
}

fn list<T: Serialize>(name: &'static str, file: &[T]) -> ShownSetting {
    ShownSetting {
        name,
        value: shown(&file),
        origin: if file.is_empty() {
            Origin::Default
        } else {
            Origin::File
        },
    }
}

fn shown(value: &impl Serialize) -> ShownValue {
    match serde_json::to_value(value) {
        Ok(value) => ShownValue::Value(without_secrets(value)),
        Err(_) => ShownValue::Unset,
    }
}

/// The value with `set` in the place of what a secret or its digest stands in, by the names of
/// its members.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let hidden = name.to_ascii_lowercase().contains("secret") && !value.is_null();
                let value = if hidden {
                    secret(true).into()
                } else {
                    without_secrets(value)
                };
                (name, value)
            })
            .collect::<Map<String, Value>>()
            .into(),
        Value::Array(values) => values.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_at_any_depth() {
        let value = json!([{"id": "a", "secret_sha256": "ab", "more": {"Secret": [1]}}]);
        let expected = json!([{"id": "a", "secret_sha256": "set", "more": {"Secret": "set"}}]);
        assert_eq!(without_secrets(value), expected);
    }
}

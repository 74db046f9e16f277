use serde::Deserialize;
use tokensmith_engine::authz::{CompileOptions, CompiledPolicy};
use tokensmith_engine::policy::{PolicyError, Source, compile_with};

/// What `loadPolicy` was given as texts, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Texts {
    model: String,
    rules: RuleTexts,
    #[serde(default)]
    role_matching: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    domain_matching: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RuleTexts {
    One(String),
    Many(Vec<RuleText>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: String,
    text: String,
}

impl Texts {
    pub(crate) fn compile(self) -> Result<CompiledPolicy, PolicyError> {
        let options = CompileOptions {
            role_matching: self.role_matching,
            domain_matching: self.domain_matching,
        };
        let rules: Vec<Source<'_>> = match &self.rules {
            RuleTexts::One(text) => vec![Source {
                name: "<rules>",
                text,
            }],
            RuleTexts::Many(texts) => texts
                .iter()
                .map(|own| Source {
                    name: &own.name,
                    text: &own.text,
                })
                .collect(),
        };
        let model = Source {
            name: "<model>",
            text: &self.model,
        };
        compile_with(model, &rules, &options)
    }
}

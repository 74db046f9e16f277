use serde::Serialize;
use serde_json::{Value, json};
use tokensmith_engine::authz::{AuthzError, CompiledPolicy, Decision, RequestValue, RolePicture};
use tokensmith_engine::policy::compile_baseline;
use wasm_bindgen::prelude::*;

use crate::caller::Caller;
use crate::texts::Texts;
use crate::thrown::thrown;

/// How many near misses are shown for a subject.
const NEAR: usize = 10;

/// A compiled policy. Answers beyond yes and no are JSON.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Policy {
    policy: CompiledPolicy,
}

#[wasm_bindgen]
impl Policy {
    /// The policy of `{"model", "rules", "roleMatching"?, "domainMatching"?}`.
    ///
    /// # Errors
    /// `{"code": "bad_options" | a code of the policy, "message"}` as text.
    #[wasm_bindgen(constructor)]
    pub fn new(texts: &str) -> Result<Policy, JsValue> {
        let texts: Texts =
            serde_json::from_str(texts).map_err(|error| thrown("bad_options", error))?;
        let policy = texts
            .compile()
            .map_err(|error| thrown(error.code(), error))?;
        Ok(Self { policy })
    }

    /// The baseline.
    ///
    /// # Errors
    /// Never: a test compiles it.
    pub fn baseline() -> Result<Policy, JsValue> {
        let policy = compile_baseline().map_err(|error| thrown(error.code(), error))?;
        Ok(Self { policy })
    }

    /// The policy version.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> String {
        self.policy.policy_version().to_owned()
    }

    /// Whether `caller` may do `action` on `object`.
    pub fn can(&self, caller: &Caller, object: &str, action: &str) -> bool {
        self.decision(caller, object, action) == Decision::Allow
    }

    /// The decision's name.
    pub fn decide(&self, caller: &Caller, object: &str, action: &str) -> String {
        self.decision(caller, object, action).name().to_owned()
    }

    /// Why: `{"decision", "subjects": [{"subject", "allowed", "effect", "rows", "nearMisses"} |
    /// {"subject", "error": {"code", "message"}}]}`.
    pub fn explain(&self, caller: &Caller, object: &str, action: &str) -> String {
        let subjects: Vec<Value> = caller
            .subjects
            .iter()
            .map(|subject| {
                self.explained(subject, object, action)
                    .unwrap_or_else(|error| {
                        let message = error.to_string();
                        let error = json!({"code": error.code(), "message": message});
                        json!({"subject": &**subject, "error": error})
                    })
            })
            .collect();
        let decision = self.decision(caller, object, action).name();
        json!({"decision": decision, "subjects": subjects}).to_string()
    }

    /// The subjects that may do `action` on `object`: `[{"subject", "path", "row"}]`.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    #[wasm_bindgen(js_name = whoCan)]
    pub fn who_can(&self, object: &str, action: &str) -> Result<String, JsValue> {
        let grants = self
            .policy
            .who_can(object, action)
            .map_err(|error| thrown(error.code(), error))?;
        Ok(text(&grants))
    }

    /// What `caller` may do: `{"objects", "actions", "decisions"}`.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    pub fn table(&self, caller: &Caller) -> Result<String, JsValue> {
        let table = self
            .policy
            .permission_table(&caller.id, &caller.subjects)
            .map_err(|error| thrown(error.code(), error))?;
        Ok(text(&table))
    }

    /// The roles, or those of one subject: `{"nodes", "edges", "mermaid", "svg"}`.
    ///
    /// # Errors
    /// `{"code", "message"}` as text.
    #[wasm_bindgen(js_name = roleGraph)]
    pub fn role_graph(&self, subject: Option<String>) -> Result<String, JsValue> {
        let picture: RolePicture = match subject {
            Some(subject) => self.policy.role_picture_of(&subject),
            None => self.policy.role_picture(),
        }
        .map_err(|error| thrown(error.code(), error))?;
        let graph = json!({
            "nodes": picture.nodes,
            "edges": picture.edges,
            "mermaid": picture.to_mermaid(),
            "svg": picture.to_svg(),
        });
        Ok(graph.to_string())
    }
}

impl Policy {
    pub(crate) fn of(policy: CompiledPolicy) -> Self {
        Self { policy }
    }

    fn decision(&self, caller: &Caller, object: &str, action: &str) -> Decision {
        self.policy
            .authorize_subjects(&caller.id, &caller.subjects, object, action, |_| {})
    }

    fn explained(&self, subject: &str, object: &str, action: &str) -> Result<Value, AuthzError> {
        let request = [subject, object, action].map(RequestValue::Text);
        let explanation = self.policy.explain("", &request)?;
        let decided = explanation.rows.iter().any(|row| row.decisive);
        let mut near = Vec::new();
        if !explanation.allowed && !decided {
            near = self.policy.near_misses("", &request)?;
            near.truncate(NEAR);
        }
        Ok(json!({
            "subject": subject,
            "allowed": explanation.allowed,
            "effect": explanation.effect,
            "rows": explanation.rows,
            "nearMisses": near,
        }))
    }
}

fn text(value: &impl Serialize) -> String {
    json!(value).to_string()
}

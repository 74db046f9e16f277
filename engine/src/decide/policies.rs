use std::sync::Arc;

use super::record::MatchedRule;
use super::{Config, ConfigError, PolicyConfig};
use crate::authz::{CompileOptions, CompiledPolicy, Decision, SubjectAnswer};
use crate::policy::{self, BASELINE_MODEL, Source};
use crate::principal::Principal;

/// The place of a policy, which may be empty.
#[derive(Clone, Debug)]
pub(super) struct PolicySlot {
    policy: Option<Arc<CompiledPolicy>>,
    version: Arc<str>,
}

/// Who policy is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller<'c> {
    Known(&'c Principal),
    /// A caller without a token, by the name of all of them in policy rules.
    Anonymous(&'c Arc<str>),
}

/// What a policy said.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) matched_roles: Vec<Arc<str>>,
    pub(super) matched_rules: Vec<MatchedRule>,
}

impl PolicySlot {
    /// The slots of a configuration: of the policy, and of the shadow policy, if there is one.
    /// Those of bundles are empty.
    pub(super) fn of(config: &Config) -> Result<(Self, Option<Self>), ConfigError> {
        let own = match &config.policy {
            Some(policy) => Self::compile(policy, "policy")?,
            None => {
                let baseline = policy::compile_baseline()
                    .map_err(|error| ConfigError::field("policy", error.to_string()))?;
                Self::holding(baseline.into(), "policy")?
            }
        };
        let shadow = config
            .shadow_policy
            .as_ref()
            .map(|policy| Self::compile(policy, "shadow_policy"));
        Ok((own, shadow.transpose()?))
    }

    pub(super) fn empty() -> Self {
        Self {
            policy: None,
            version: Arc::default(),
        }
    }

    /// The slot with `policy`, which `field` is about.
    pub(super) fn holding(policy: Arc<CompiledPolicy>, field: &str) -> Result<Self, ConfigError> {
        let fields = policy.request_fields();
        if fields != 3 {
            let message = format!(
                "request definition needs 3 fields (subject, object, action), has {fields}"
            );
            return Err(ConfigError::field(format!("{field}.model"), message));
        }
        Ok(Self {
            version: policy.policy_version().into(),
            policy: Some(policy),
        })
    }

    /// Empty while there is no policy.
    pub(super) fn version(&self) -> &Arc<str> {
        &self.version
    }

    pub(super) fn is_empty(&self) -> bool {
        self.policy.is_none()
    }

    /// `None` while there is no policy.
    pub(super) fn ask(&self, caller: Caller<'_>, object: &str, action: &str) -> Option<Verdict> {
        let policy = self.policy.as_deref()?;
        let (mut matched_roles, mut matched_rules) = (Vec::new(), Vec::new());
        let tell = |answer: SubjectAnswer<'_>| {
            if answer.allowed {
                matched_roles.push(Arc::clone(answer.subject));
            }
            matched_rules.extend(answer.row.map(MatchedRule::from));
        };
        let decision = match caller {
            Caller::Known(principal) => policy.authorize_each(principal, object, action, tell),
            Caller::Anonymous(name) => {
                let names = std::slice::from_ref(name);
                policy.authorize_subjects(name, names, object, action, tell)
            }
        };
        Some(Verdict {
            decision,
            matched_roles,
            matched_rules,
        })
    }

    fn compile(own: &PolicyConfig, field: &str) -> Result<Self, ConfigError> {
        let Some(rules) = own.rules.as_deref() else {
            return Ok(Self::empty());
        };
        let model = Source {
            name: &format!("{field}.model"),
            text: own.model.as_deref().unwrap_or(BASELINE_MODEL),
        };
        let rules = Source {
            name: &format!("{field}.rules"),
            text: rules,
        };
        let options = CompileOptions {
            role_matching: own.role_matching.clone(),
            domain_matching: own.domain_matching.clone(),
        };
        let policy = policy::compile_with(model, &[rules], &options)
            .map_err(|error| ConfigError::field(field, error.to_string()))?;
        Self::holding(policy.into(), field)
    }
}

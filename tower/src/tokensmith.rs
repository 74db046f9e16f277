use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::decide::{Config, ConfigError, Mode};

use crate::current::Shared;
use crate::layer::Part;
use crate::{Builder, Diagnostics, IssuerDiagnostics, Metrics, TokenSmithLayer, TowerError};

/// Layers of one configuration, and what they share: keys, policy, memory of tokens. A handle;
/// clones are cheap.
#[derive(Clone)]
pub struct TokenSmith {
    pub(crate) shared: Arc<Shared>,
}

impl TokenSmith {
    /// What to start with.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    /// Decides by the configuration's routes: token and policy.
    pub fn layer(&self) -> TokenSmithLayer {
        self.with(Part::Both, Map::new())
    }

    /// Asks for a token, as the configuration's routes say, and leaves policy to a later layer.
    /// What comes after it may ask [`crate::Principal`].
    pub fn authn_layer(&self) -> TokenSmithLayer {
        self.with(Part::Authentication, Map::new())
    }

    /// Policy, by the configuration's routes. It verifies the token too, which costs nothing
    /// after [`TokenSmith::authn_layer`]: left out or put in the wrong order it is no hole.
    pub fn authz_layer(&self) -> TokenSmithLayer {
        self.layer()
    }

    /// Asks policy about this object and action, whatever the configuration's routes say: for one
    /// route, `get(nodes).layer(tokensmith.require("metadata:nodes", "read"))`.
    pub fn require(&self, object: &str, action: &str) -> TokenSmithLayer {
        let said = [
            ("object".to_owned(), Value::from(object)),
            ("action".to_owned(), Value::from(action)),
        ];
        self.with(Part::Both, said.into_iter().collect())
    }

    /// Asks for nothing: headers that say who a caller is are removed all the same.
    pub fn public(&self) -> TokenSmithLayer {
        let said = [("public".to_owned(), Value::Bool(true))];
        self.with(Part::Both, said.into_iter().collect())
    }

    /// Decides by another policy from now on. No request is lost, none is decided by both.
    ///
    /// # Errors
    /// [`ConfigError`] for a policy that does not fit; the former one stays in use.
    pub fn set_policy(&self, policy: Arc<CompiledPolicy>) -> Result<(), ConfigError> {
        let set = self.shared.set_policy(policy);
        self.shared.metrics.policy_loaded(set.is_ok());
        set
    }

    /// Waits until keys of all issuers and a policy are there.
    ///
    /// # Errors
    /// [`TowerError::NotReady`], naming what is missing after `within`.
    pub async fn ready(&self, within: Duration) -> Result<(), TowerError> {
        let end = tokio::time::Instant::now() + within;
        let mut changes = self.shared.subscribe();
        while let Some(missing) = self.shared.missing(self.shared.now()) {
            match tokio::time::timeout_at(end, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(TowerError::NotReady(missing)),
            }
        }
        Ok(())
    }

    /// The version of the policy in use; empty while there is none.
    pub fn policy_version(&self) -> String {
        let current = self.shared.current.load();
        current.decider.policy_version().to_owned()
    }

    /// The mode of routes that say nothing else.
    pub fn mode(&self) -> Mode {
        self.shared.current.load().decider.mode()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// What is in use, without secrets.
    pub fn diagnostics(&self) -> Diagnostics {
        let now = self.shared.now();
        // Expired keys are not in use.
        self.shared.look(now);
        let loaded = self.shared.loaded();
        let current = self.shared.current.load();
        let issuers = self.shared.options.issuers.iter();
        Diagnostics {
            mode: current.decider.mode().name(),
            policy_version: current.decider.policy_version().to_owned(),
            policy_source: self.shared.options.policy_source,
            shadow_policy_version: current.decider.shadow_policy_version().map(str::to_owned),
            routes: self.shared.options.routes,
            issuers: issuers
                .map(|issuer| IssuerDiagnostics {
                    issuer: issuer.clone(),
                    has_keys: current.ring.has_issuer(issuer),
                    keys_age_s: loaded.get(issuer).map(|then| now.saturating_sub(*then)),
                })
                .collect(),
        }
    }

    fn with(&self, part: Part, said: Map<String, Value>) -> TokenSmithLayer {
        TokenSmithLayer::new(Arc::clone(&self.shared), part, said)
    }
}

impl fmt::Debug for TokenSmith {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenSmith")
            .field("diagnostics", &self.diagnostics())
            .finish_non_exhaustive()
    }
}

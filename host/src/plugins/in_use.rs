use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{MappedUser, with_scopes_within};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::followed::Followed;
use super::sandbox::Sandbox;
use super::{Export, PluginCounts, PluginError, PluginSettings, ScopeQuestion};
use crate::hangup::Hangups;

/// The plugins that a service uses, each following its file.
#[derive(Debug, Default)]
pub struct Plugins {
    claim_mapper: Option<Followed>,
    scope_policy: Option<Followed>,
}

impl Plugins {
    /// Loads what is configured. Blocks while it compiles.
    ///
    /// # Errors
    /// [`PluginError`].
    pub fn load(settings: &PluginSettings) -> Result<Self, PluginError> {
        let limits = settings.limits()?;
        let mut plugins = Self::default();
        if settings.files().next().is_none() {
            return Ok(plugins);
        }
        let sandbox = Arc::new(Sandbox::new()?);
        for (export, path) in settings.files() {
            let followed = Followed::load(path, export, limits, Arc::clone(&sandbox))?;
            match export {
                Export::MapClaims => plugins.claim_mapper = Some(followed),
                Export::LimitScopes => plugins.scope_policy = Some(followed),
            }
        }
        Ok(plugins)
    }

    /// The user that the claim mapper makes of the claims of a provider's token; the claims as
    /// they are where there is no mapper.
    ///
    /// # Errors
    /// [`PluginError::Failed`], [`PluginError::Answer`] and [`PluginError::Refused`].
    pub fn map_claims(&self, claims: Claims) -> Result<MappedUser, PluginError> {
        match &self.claim_mapper {
            None => Ok(MappedUser::from(claims)),
            Some(mapper) => in_place(|| mapper.ask(|plugin| plugin.map_claims(&claims))),
        }
    }

    /// The claims of a token about to be issued, with the scopes that the scope policy leaves it.
    ///
    /// # Errors
    /// [`PluginError::Failed`] and [`PluginError::Refused`].
    pub fn limit_scopes(
        &self,
        claims: Map<String, Value>,
    ) -> Result<Map<String, Value>, PluginError> {
        let Some(policy) = &self.scope_policy else {
            return Ok(claims);
        };
        let claims = Value::Object(claims);
        let text = claims.to_string();
        let (audience, scopes) = (texts(&claims, "aud"), texts(&claims, "scope"));
        let question = ScopeQuestion {
            subject: claims
                .get("sub")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            audience: &audience,
            scopes: &scopes,
            claims: &text,
        };
        let answered = in_place(|| policy.ask(|plugin| plugin.limit_scopes(&question)))?;
        Ok(match claims {
            Value::Object(claims) => with_scopes_within(claims, &answered),
            _ => Map::new(),
        })
    }

    /// Starts a task that looks at the files every `interval` and at each SIGHUP. It ends when it
    /// is aborted.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with timers and signals.
    pub fn watch(self: Arc<Self>, interval: Duration) -> Option<JoinHandle<()>> {
        self.followed().next()?;
        let hangups = Hangups::listen();
        Some(tokio::spawn(watching(self, interval, hangups)))
    }

    /// What was counted, by [`Export::setting`].
    pub fn counts(&self) -> [(&'static str, PluginCounts); 2] {
        let of = |followed: &Option<Followed>| {
            followed.as_ref().map(Followed::counts).unwrap_or_default()
        };
        [
            (Export::MapClaims.setting(), of(&self.claim_mapper)),
            (Export::LimitScopes.setting(), of(&self.scope_policy)),
        ]
    }

    fn followed(&self) -> impl Iterator<Item = &Followed> {
        self.claim_mapper.iter().chain(&self.scope_policy)
    }
}

/// Does what may take as long as a call may, in a way that other requests need not wait for it.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The strings of a claim.
fn texts(claims: &Value, name: &str) -> Vec<String> {
    let values = claims.get(name).and_then(Value::as_array);
    let texts = values.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

async fn watching(plugins: Arc<Plugins>, interval: Duration, mut hangups: Hangups) {
    let mut looks = tokio::time::interval(interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once.
    looks.tick().await;
    loop {
        let forced = tokio::select! {
            _ = looks.tick() => false,
            () = hangups.next() => true,
        };
        let plugins = Arc::clone(&plugins);
        let done = tokio::task::spawn_blocking(move || {
            plugins
                .followed()
                .for_each(|followed| followed.look(forced));
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "loading plugins ended, the former ones stay in use");
        }
    }
}

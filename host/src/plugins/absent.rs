//! What stands in the place of plugins in a binary that was built without them: whoever
//! configures one is told.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::MappedUser;
use tokio::task::JoinHandle;

use super::{Export, PluginCounts, PluginError, PluginLimits, PluginSettings, ScopeQuestion};

/// There is none in this build.
#[derive(Debug)]
pub struct Plugin(Infallible);

/// There are none in this build.
#[derive(Debug, Default)]
pub struct Plugins(());

impl Plugin {
    /// Refuses.
    ///
    /// # Errors
    /// [`PluginError::NotBuilt`].
    pub fn load(_: &Path, _: PluginLimits) -> Result<Self, PluginError> {
        Err(PluginError::NotBuilt)
    }

    /// Not to be called.
    pub fn exports(&self) -> Vec<Export> {
        match self.0 {}
    }

    /// Not to be called.
    pub fn digest(&self) -> &str {
        match self.0 {}
    }

    /// Not to be called.
    ///
    /// # Errors
    /// None.
    pub fn map_claims(&self, _: &Claims) -> Result<MappedUser, PluginError> {
        match self.0 {}
    }

    /// Not to be called.
    ///
    /// # Errors
    /// None.
    pub fn limit_scopes(&self, _: &ScopeQuestion<'_>) -> Result<Vec<String>, PluginError> {
        match self.0 {}
    }
}

impl Plugins {
    /// Good where none is configured.
    ///
    /// # Errors
    /// [`PluginError::NotBuilt`] and [`PluginError::Setting`].
    pub fn load(settings: &PluginSettings) -> Result<Self, PluginError> {
        settings.limits()?;
        match settings.files().next() {
            None => Ok(Self(())),
            Some(_) => Err(PluginError::NotBuilt),
        }
    }

    /// The claims as they are.
    ///
    /// # Errors
    /// None.
    pub fn map_claims(&self, claims: Claims) -> Result<MappedUser, PluginError> {
        Ok(MappedUser::from(claims))
    }

    /// The claims as they are.
    ///
    /// # Errors
    /// None.
    pub fn limit_scopes(
        &self,
        claims: Map<String, Value>,
    ) -> Result<Map<String, Value>, PluginError> {
        Ok(claims)
    }

    /// Nothing to follow.
    pub fn watch(self: Arc<Self>, _: Duration) -> Option<JoinHandle<()>> {
        None
    }

    /// Nothing was counted.
    pub fn counts(&self) -> [(&'static str, PluginCounts); 2] {
        [Export::MapClaims, Export::LimitScopes]
            .map(|export| (export.setting(), PluginCounts::default()))
    }
}

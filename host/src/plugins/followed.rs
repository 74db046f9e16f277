use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::file::PluginFile;
use super::plugin::Plugin;
use super::sandbox::Sandbox;
use super::{Export, PluginCounts, PluginError, PluginLimits};

/// A plugin that follows its file. A file that does not load leaves in use what was.
#[derive(Debug)]
pub(super) struct Followed {
    path: PathBuf,
    export: Export,
    limits: PluginLimits,
    sandbox: Arc<Sandbox>,
    current: ArcSwap<Plugin>,
    /// What was refused last: the digest of the file, or the message where it cannot be read.
    /// Held while loading.
    refused: Mutex<Option<String>>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    answered: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    loads: AtomicU64,
    failed_loads: AtomicU64,
}

impl Followed {
    /// Loads it for the first time.
    ///
    /// # Errors
    /// [`PluginError`]: there is no former one that could stay in use.
    pub(super) fn load(
        path: &Path,
        export: Export,
        limits: PluginLimits,
        sandbox: Arc<Sandbox>,
    ) -> Result<Self, PluginError> {
        let file = PluginFile::read(path)?;
        let plugin = Plugin::compile(path, &file, limits, Arc::clone(&sandbox))?;
        plugin.needs(export)?;
        let own = Self {
            path: path.to_owned(),
            export,
            limits,
            sandbox,
            current: ArcSwap::from_pointee(plugin),
            refused: Mutex::new(None),
            counters: Counters::default(),
        };
        own.loaded();
        Ok(own)
    }

    /// Looks at the file and takes it into use when it is another one. What was refused before is
    /// tried again only when it is `forced`. Blocks while it does; what goes wrong is logged.
    pub(super) fn look(&self, forced: bool) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match PluginFile::read(&self.path) {
            Ok(file) => file,
            Err(error) => {
                let message = error.to_string();
                if forced || refused.as_ref() != Some(&message) {
                    self.not_loaded(&error);
                }
                *refused = Some(message);
                return;
            }
        };
        if file.digest() == self.current.load().digest() {
            *refused = None;
            return;
        }
        if !forced && refused.as_deref() == Some(file.digest()) {
            return;
        }
        let sandbox = Arc::clone(&self.sandbox);
        let compiled = Plugin::compile(&self.path, &file, self.limits, sandbox)
            .and_then(|plugin| plugin.needs(self.export).map(|()| plugin));
        match compiled {
            Ok(plugin) => {
                self.current.store(Arc::new(plugin));
                *refused = None;
                self.loaded();
            }
            Err(error) => {
                self.not_loaded(&error);
                *refused = Some(file.digest().to_owned());
            }
        }
    }

    /// Calls it and counts how that went.
    pub(super) fn ask<T>(
        &self,
        call: impl FnOnce(&Plugin) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let plugin = self.current.load_full();
        let answer = call(&plugin);
        let counter = match &answer {
            Ok(_) => &self.counters.answered,
            Err(PluginError::Refused { .. }) => &self.counters.refused,
            Err(_) => &self.counters.failed,
        };
        increment(counter);
        answer
    }

    /// What was counted.
    pub(super) fn counts(&self) -> PluginCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PluginCounts {
            answered: load(&self.counters.answered),
            refused: load(&self.counters.refused),
            failed: load(&self.counters.failed),
            loads: load(&self.counters.loads),
            failed_loads: load(&self.counters.failed_loads),
        }
    }

    fn loaded(&self) {
        increment(&self.counters.loads);
        tracing::info!(
            plugin = self.export.setting(),
            file = %self.path.display(),
            sha256 = self.current.load().digest(),
            "plugin loaded"
        );
    }

    fn not_loaded(&self, error: &PluginError) {
        increment(&self.counters.failed_loads);
        tracing::error!(
            plugin = self.export.setting(),
            code = error.code(),
            %error,
            sha256 = self.current.load().digest(),
            "plugin not loaded, the former one stays in use"
        );
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

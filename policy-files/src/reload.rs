//! A policy that follows its files while a program runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokensmith_engine::authz::CompiledPolicy;

use crate::{Fingerprint, PolicyLoadError, PolicyPaths, PolicySources};

/// How often the files are looked at when nothing else is configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// The files are not to be looked at more often than this.
pub const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// Where a policy comes from, each time it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyOrigin {
    /// These files and folders.
    Paths(PolicyPaths),
    /// What [`PolicyPaths::in_folder`] finds in this folder then.
    Folder(PathBuf),
}

/// The policy in use. Whoever decides takes it with [`PolicyHandle::current`], without waiting,
/// and keeps it for the length of one decision.
///
/// A policy that does not load changes nothing: the former one stays in use, and the failure is
/// logged, counted and kept for whoever asks.
///
/// ```
/// use tokensmith_policy_files::PolicyPaths;
/// use tokensmith_policy_files::reload::{PolicyHandle, PolicyOrigin};
/// let baseline = PolicyPaths { baseline: true, ..PolicyPaths::default() };
/// let policy = PolicyHandle::load(PolicyOrigin::Paths(baseline)).unwrap();
/// assert!(policy.version().starts_with("v2:"));
/// assert!(policy.last_error().is_none());
/// ```
#[derive(Debug)]
pub struct PolicyHandle {
    origin: PolicyOrigin,
    current: ArcSwap<PolicyInUse>,
    /// Held while loading, so that an earlier load never takes the place of a later one.
    loading: Mutex<()>,
    status: Mutex<Status>,
    loads: AtomicU64,
    failures: AtomicU64,
}

/// A policy and the texts it was compiled from.
#[derive(Debug)]
pub struct PolicyInUse {
    /// The policy.
    pub policy: Arc<CompiledPolicy>,
    /// Its texts.
    pub sources: PolicySources,
    /// Of the texts.
    pub fingerprint: Fingerprint,
}

/// What a look at the files led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The texts are those in use.
    Unchanged,
    /// The texts are those that were refused before, and were not tried again.
    StillRefused,
    /// A policy was loaded and is in use.
    Loaded,
}

/// A load that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFailure {
    /// When, Unix time in seconds.
    pub at: i64,
    /// [`PolicyLoadError::code`].
    pub code: &'static str,
    /// The message, naming the file, and line and column where there is one.
    pub message: String,
}

#[derive(Debug)]
struct Status {
    loaded_at: i64,
    /// Of the texts that were refused last.
    refused: Option<Fingerprint>,
    last_error: Option<ReloadFailure>,
}

impl PolicyHandle {
    /// Loads the policy for the first time.
    ///
    /// # Errors
    /// [`PolicyLoadError`]: there is no former policy that could stay in use.
    pub fn load(origin: PolicyOrigin) -> Result<Self, PolicyLoadError> {
        let sources = origin.read()?;
        let in_use = PolicyInUse {
            policy: Arc::new(sources.compile()?),
            fingerprint: sources.fingerprint(),
            sources,
        };
        Ok(Self {
            origin,
            current: ArcSwap::from_pointee(in_use),
            loading: Mutex::new(()),
            status: Mutex::new(Status {
                loaded_at: unix_now(),
                refused: None,
                last_error: None,
            }),
            loads: AtomicU64::new(1),
            failures: AtomicU64::new(0),
        })
    }

    /// The policy in use.
    pub fn current(&self) -> Arc<CompiledPolicy> {
        Arc::clone(&self.current.load().policy)
    }

    /// The policy in use with its texts.
    pub fn in_use(&self) -> Arc<PolicyInUse> {
        self.current.load_full()
    }

    /// Its policy version.
    pub fn version(&self) -> String {
        self.current.load().policy.policy_version().to_owned()
    }

    /// When it was loaded, Unix time in seconds.
    pub fn loaded_at(&self) -> i64 {
        self.status().loaded_at
    }

    /// Why the files are not what is in use; none when they are.
    pub fn last_error(&self) -> Option<ReloadFailure> {
        self.status().last_error.clone()
    }

    /// How many policies were loaded, the first included.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// How many loads failed. The same texts refused again at a look count once.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Reads, compiles and takes into use what is in the files now, also what was refused before.
    /// Blocks while it does.
    ///
    /// # Errors
    /// [`PolicyLoadError`]; the former policy stays in use.
    pub fn reload(&self) -> Result<Reload, PolicyLoadError> {
        self.follow(true)
    }

    /// As [`PolicyHandle::reload`], but leaves alone what was refused before. Blocks while it does.
    ///
    /// # Errors
    /// [`PolicyLoadError`]; the former policy stays in use.
    pub fn check(&self) -> Result<Reload, PolicyLoadError> {
        self.follow(false)
    }

    fn follow(&self, forced: bool) -> Result<Reload, PolicyLoadError> {
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = match self.origin.read() {
            Ok(sources) => sources,
            Err(error) => return Err(self.failed(error, None, forced)),
        };
        let fingerprint = sources.fingerprint();
        {
            let mut status = self.status();
            if fingerprint == self.current.load().fingerprint {
                status.refused = None;
                status.last_error = None;
                return Ok(Reload::Unchanged);
            }
            if !forced && status.refused == Some(fingerprint) {
                return Ok(Reload::StillRefused);
            }
        }
        match sources.compile() {
            Ok(policy) => {
                self.succeeded(PolicyInUse {
                    policy: Arc::new(policy),
                    sources,
                    fingerprint,
                });
                Ok(Reload::Loaded)
            }
            Err(error) => Err(self.failed(error.into(), Some(fingerprint), forced)),
        }
    }

    fn succeeded(&self, in_use: PolicyInUse) {
        let policy = Arc::clone(&in_use.policy);
        let former = self.current.swap(Arc::new(in_use));
        *self.status() = Status {
            loaded_at: unix_now(),
            refused: None,
            last_error: None,
        };
        self.loads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            policy_version = policy.policy_version(),
            former_policy_version = former.policy.policy_version(),
            "policy loaded"
        );
    }

    /// Keeps and counts a failure, and logs it unless it is the last one over again.
    fn failed(
        &self,
        error: PolicyLoadError,
        refused: Option<Fingerprint>,
        forced: bool,
    ) -> PolicyLoadError {
        let failure = ReloadFailure {
            at: unix_now(),
            code: error.code(),
            message: error.to_string(),
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        let known = {
            let mut status = self.status();
            let known = status
                .last_error
                .as_ref()
                .is_some_and(|last| last.message == failure.message);
            status.refused = refused;
            status.last_error = Some(failure);
            known
        };
        if forced || !known {
            tracing::error!(
                code = error.code(),
                %error,
                policy_version = self.version(),
                "policy not loaded, the former one stays in use"
            );
        }
        error
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PolicyOrigin {
    fn read(&self) -> Result<PolicySources, PolicyLoadError> {
        let sources = match self {
            PolicyOrigin::Paths(paths) => crate::read(paths)?,
            PolicyOrigin::Folder(folder) => crate::read(&PolicyPaths::in_folder(folder)?)?,
        };
        Ok(sources)
    }
}

/// Unix time in seconds; 0 before 1970.
fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

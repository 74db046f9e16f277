use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::decide::{BundleSource, ConfigError};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::KeySources;
use tokensmith_engine::policy::{BundleError, BundleLimits, BundleState, BundleVerifier};
use tokensmith_engine::verify::VerifyError;
use tokensmith_engine::verify::aws_lc::AwsLc;

use crate::current::{Shared, unix_now};
use crate::key_refresh::MAX_JWKS;
use crate::{Document, Fetch, TowerError};

/// How often a bundle that is there is asked for.
const INTERVAL: Duration = Duration::from_secs(60);
/// How soon one that is missing is asked for again, at first.
const RETRY: Duration = Duration::from_secs(1);

/// Which policy a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The one in force.
    Enforced,
    /// The one that is only recorded.
    Shadow,
}

/// A signed policy that is fetched.
pub(crate) struct BundleFollower {
    source: BundleSource,
    purpose: Purpose,
    keys: KeySources,
    state: BundleState,
    state_file: Option<PathBuf>,
    /// Of the bundle in use.
    etag: Option<String>,
    /// `exp` of the bundle in use.
    expires: Option<i64>,
}

impl BundleFollower {
    /// Reads the state that an earlier process left.
    ///
    /// # Errors
    /// [`TowerError::BundleState`].
    pub(crate) fn new(
        source: BundleSource,
        purpose: Purpose,
        state_file: Option<PathBuf>,
        seed: u64,
    ) -> Result<Self, TowerError> {
        let state = match &state_file {
            Some(path) => read_state(path)?,
            None => BundleState::default(),
        };
        Ok(Self {
            keys: KeySources::new([source.keys.clone()], &AwsLc, seed),
            source,
            purpose,
            state,
            state_file,
            etag: None,
            expires: None,
        })
    }

    /// Fetches the bundle, until the last handle is dropped. One that has expired is taken out of
    /// use.
    pub(crate) async fn following(mut self, shared: Weak<Shared>, fetch: Arc<dyn Fetch>) {
        let mut failures = 0_u32;
        loop {
            let Some(own) = shared.upgrade() else {
                return;
            };
            let now = own.now();
            self.fetch_keys(fetch.as_ref(), now).await;
            match self.look(fetch.as_ref(), now).await {
                Ok(None) => failures = 0,
                Ok(Some(policy)) => {
                    failures = 0;
                    let version = policy.policy_version().to_owned();
                    let set = self.purpose.set(&own, policy);
                    own.metrics.policy_loaded(set.is_ok());
                    match set {
                        Ok(()) => tracing::info!(
                            policy_version = version,
                            sequence = self.state.sequence,
                            "policy bundle loaded"
                        ),
                        Err(error) => tracing::error!(
                            code = error.code(),
                            %error,
                            "the policy of a bundle does not fit, the former one stays in use"
                        ),
                    }
                }
                Err(reason) => {
                    failures = failures.saturating_add(1);
                    own.metrics.policy_loaded(false);
                    tracing::warn!(
                        url = self.source.uri.as_str(),
                        reason,
                        "no policy bundle, keeping the former"
                    );
                }
            }
            if self.expires.is_some_and(|expires| expires <= now) {
                tracing::error!("the policy bundle has expired and is out of use");
                self.purpose.clear(&own);
                self.expires = None;
                self.etag = None;
            }
            drop(own);
            let wait = match failures {
                0 => INTERVAL,
                _ => RETRY.saturating_mul(1 << failures.min(6).saturating_sub(1)),
            };
            tokio::time::sleep(wait.min(INTERVAL)).await;
        }
    }

    /// The keys that bundles are signed with, where they are due.
    async fn fetch_keys(&mut self, fetch: &dyn Fetch, now: i64) {
        for due in self.keys.poll(now) {
            self.carry_out(fetch, &due).await;
        }
    }

    async fn carry_out(&mut self, fetch: &dyn Fetch, due: &tokensmith_engine::keys::Fetch) {
        let taken = match fetch.get(&due.url, due.etag.as_deref(), MAX_JWKS).await {
            Ok(document) => self
                .keys
                .fetched(due.id, &document.answer(), &Limits::default(), &AwsLc)
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(error) => {
                self.keys.failed(due.id);
                Err(error.to_string())
            }
        };
        if let Err(reason) = taken {
            tracing::warn!(
                url = due.url.as_str(),
                reason,
                "cannot fetch the keys of policy bundles, keeping the former"
            );
        }
    }

    /// A new policy, none where it is the one in use.
    async fn look(
        &mut self,
        fetch: &dyn Fetch,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, String> {
        let most = BundleLimits::default().bytes;
        let document = fetch
            .get(&self.source.uri, self.etag.as_deref(), most)
            .await
            .map_err(|error| error.to_string())?;
        match document.status {
            304 if self.etag.is_some() => return Ok(None),
            200 => {}
            status => return Err(format!("status {status}")),
        }
        let opened = match self.open(&document, now) {
            // A bundle may be signed with a key that is newer than the keys held.
            Err(BundleError::Signature(VerifyError::UnknownKid { issuer, kid })) => {
                if let Some(due) = self.keys.unknown_kid(&issuer, &kid, now) {
                    self.carry_out(fetch, &due).await;
                }
                self.open(&document, now)
            }
            opened => opened,
        };
        opened.map_err(|error| format!("{}: {error}", error.code()))
    }

    fn open(
        &mut self,
        document: &Document,
        now: i64,
    ) -> Result<Option<CompiledPolicy>, BundleError> {
        let jws = String::from_utf8_lossy(&document.body);
        let verifier = BundleVerifier {
            issuer: &self.source.issuer,
            keys: self.keys.ring(now),
            limits: BundleLimits::default(),
        };
        let (opened, next) = verifier.open(jws.trim(), now, &self.state)?;
        let known = self.expires.is_some() && self.state == next;
        if self.state != next {
            // Before the policy is used: whoever restarts must not take an older one.
            if let Some(path) = &self.state_file
                && let Err(error) = write_state(path, &next)
            {
                tracing::error!(
                    code = error.code(),
                    %error,
                    "after a restart an older policy bundle would be taken"
                );
            }
            self.state = next;
        }
        self.etag = document.etag.clone();
        self.expires = Some(opened.expires);
        Ok((!known).then_some(opened.policy))
    }
}

impl Purpose {
    fn set(self, shared: &Shared, policy: CompiledPolicy) -> Result<(), ConfigError> {
        let policy = Arc::new(policy);
        match self {
            Purpose::Enforced => shared.set_policy(policy),
            Purpose::Shadow => shared.set_shadow_policy(policy),
        }
    }

    fn clear(self, shared: &Shared) {
        let cleared = shared.change_decider(|decider| {
            match self {
                Purpose::Enforced => decider.clear_policy(),
                Purpose::Shadow => decider.clear_shadow_policy(),
            }
            Ok(())
        });
        if let Err(error) = cleared {
            tracing::error!(%error, "an expired policy is still in use");
        }
    }
}

fn read_state(path: &Path) -> Result<BundleState, TowerError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(BundleState::default());
        }
        Err(error) => return Err(refused(path, error.to_string())),
    };
    serde_json::from_slice(&text).map_err(|error| refused(path, error.to_string()))
}

fn write_state(path: &Path, state: &BundleState) -> Result<(), TowerError> {
    let draft = path.with_extension(format!("draft-{}-{}", std::process::id(), unix_now()));
    serde_json::to_vec(state)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&draft, text))
        .and_then(|()| std::fs::File::open(&draft)?.sync_all())
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|error| {
            // What is left of it is of no use.
            drop(std::fs::remove_file(&draft));
            refused(path, error.to_string())
        })
}

fn refused(path: &Path, message: String) -> TowerError {
    TowerError::BundleState {
        path: path.display().to_string(),
        message,
    }
}

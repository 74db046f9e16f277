use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use super::public_documents::{self, PublicDocument};
use tokensmith_engine::claims::DEFAULT_LEEWAY;

use crate::clock::unix_now;
use crate::hangup::Hangups;
use crate::key_set::{KeyFolder, KeySetError, LoadedKeys};
use crate::signing_key::{KeyKind, SigningKey, SigningKeyError};

/// How often the manifest is looked at.
const INTERVAL: i64 = 10;

/// The keys in use. Signer, JWK set and ETag change together: whoever needs several of them
/// takes them from one [`ServiceKeys::current`].
#[derive(Debug)]
pub(super) struct ServiceKeys {
    active: ArcSwap<ActiveKeys>,
    folder: Option<Followed>,
}

/// What is in use between two changes.
#[derive(Debug)]
pub(super) struct ActiveKeys {
    /// Signs the tokens.
    pub(super) signing: Arc<SigningKey>,
    /// The keys of the JWK set.
    pub(super) published: Vec<Arc<SigningKey>>,
    /// The JWK set (RFC 7517 section 5).
    pub(super) jwks: PublicDocument,
}

/// A folder whose manifest is followed.
#[derive(Debug)]
struct Followed {
    folder: KeyFolder,
    rotation: Option<Rotation>,
    state: Mutex<State>,
}

/// When keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rotation {
    kind: KeyKind,
    every: i64,
}

#[derive(Debug)]
struct State {
    loaded: LoadedKeys,
    /// Logged once, not every ten seconds.
    last_failure: Option<String>,
}

impl ServiceKeys {
    /// The one key of a file, for ever.
    pub(super) fn of_file(path: &Path) -> Result<Self, SigningKeyError> {
        let key = Arc::new(SigningKey::open(path)?);
        let active = ActiveKeys::new(Arc::clone(&key), vec![key]);
        Ok(Self {
            active: ArcSwap::from_pointee(active),
            folder: None,
        })
    }

    /// The keys of a folder, which is followed from [`ServiceKeys::watch`] on.
    pub(super) fn of_folder(
        path: &Path,
        rotate_every: Option<Duration>,
        token_lifetime: i64,
    ) -> Result<Self, KeySetError> {
        let folder = KeyFolder::new(path);
        let now = unix_now();
        let longest = token_lifetime.saturating_add(DEFAULT_LEEWAY);
        folder.load_or_create(now)?;
        folder.keep_retired(longest, now)?;
        let loaded = folder.load(now, None)?;
        let active = ActiveKeys::at(&loaded, now).ok_or_else(|| folder.no_signer())?;
        for stray in folder.strays(&loaded.set)? {
            tracing::warn!(
                file = stray.as_str(),
                "not in the key manifest, and so not in use: see `tokensmith keys import`"
            );
        }
        // A new key is of the kind of the one that signs, unless that kind is not made here.
        let kind = KeyKind::of(active.signing.algorithm(), Default::default());
        let rotation = rotate_every.map(|every| Rotation {
            kind: kind.unwrap_or(KeyKind::Es256),
            every: i64::try_from(every.as_secs()).unwrap_or(i64::MAX),
        });
        Ok(Self {
            active: ArcSwap::from_pointee(active),
            folder: Some(Followed {
                folder,
                rotation,
                state: Mutex::new(State {
                    loaded,
                    last_failure: None,
                }),
            }),
        })
    }

    /// The keys in use.
    pub(super) fn current(&self) -> Arc<ActiveKeys> {
        self.active.load_full()
    }

    /// Starts a task that looks at the folder every ten seconds, at each SIGHUP, and whenever a
    /// key changes its state, and tells `changed` before other keys are in use. It ends when it
    /// is aborted.
    pub(super) fn watch(
        self: Arc<Self>,
        changed: impl Fn(&ActiveKeys) + Send + Sync + 'static,
    ) -> JoinHandle<()> {
        let hangups = Hangups::listen();
        tokio::spawn(watching(self, Arc::new(changed), hangups))
    }

    /// Makes a key if it is time to, reads the manifest, and puts in use what it says. What
    /// fails is logged, and changes nothing but what time changes. Blocks while it does.
    fn follow(&self, followed: &Followed, changed: &dyn Fn(&ActiveKeys)) {
        let now = unix_now();
        let mut failure = None;
        if let Some(rotation) = followed.rotation {
            let folder = &followed.folder;
            match folder.rotate_if_due(rotation.kind, now, rotation.every) {
                Ok(Some(entry)) => tracing::info!(
                    target: "audit",
                    event = "signing_key_published",
                    kid = entry.kid.as_str(),
                    alg = entry.alg.name(),
                    signs_from = entry.signs_from,
                ),
                // Another process is at it, and its key will be found.
                Ok(None) | Err(KeySetError::Locked { .. }) => {}
                Err(error) => failure = Some(error),
            }
        }
        let mut state = followed.state();
        match followed.folder.load(now, Some(&state.loaded)) {
            Ok(loaded) => state.loaded = loaded,
            Err(error) => failure = Some(error),
        }
        match ActiveKeys::at(&state.loaded, now) {
            Some(active) => self.activate(active, changed),
            None => failure = Some(followed.folder.no_signer()),
        }
        state.note(failure);
        drop(state);
        // Only tidying: a folder that may not be written to, as a mounted secret, is as good.
        if let Err(error) = followed.folder.tidy(now) {
            tracing::debug!(%error, "cannot put withdrawn keys aside");
        }
    }

    fn activate(&self, active: ActiveKeys, changed: &dyn Fn(&ActiveKeys)) {
        let former = self.current();
        if former.is(&active) {
            return;
        }
        tracing::info!(
            target: "audit",
            event = "signing_keys_changed",
            signing = active.signing.kid(),
            former = former.signing.kid(),
            published = active.published.len(),
        );
        changed(&active);
        self.active.store(Arc::new(active));
    }
}

impl ActiveKeys {
    fn new(signing: Arc<SigningKey>, published: Vec<Arc<SigningKey>>) -> Self {
        Self {
            jwks: public_documents::jwks(published.iter().map(|key| &**key)),
            signing,
            published,
        }
    }

    fn at(loaded: &LoadedKeys, now: i64) -> Option<Self> {
        let signing = Arc::clone(loaded.signing(now)?);
        Some(Self::new(signing, loaded.published(now)))
    }

    fn is(&self, other: &Self) -> bool {
        let kids = |active: &Self| -> Vec<String> {
            let keys = active.published.iter();
            keys.map(|key| key.kid().to_owned()).collect()
        };
        self.signing.kid() == other.signing.kid() && kids(self) == kids(other)
    }
}

/// A published key; times are Unix seconds, where something says when.
#[cfg(feature = "ui")]
#[derive(Debug, serde::Serialize)]
pub(super) struct PublishedKey {
    kid: String,
    alg: &'static str,
    /// Whether it is the one that signs.
    signs: bool,
    published: Option<i64>,
    signs_from: Option<i64>,
    /// When its state changes, if nobody changes the set.
    until: Option<i64>,
}

#[cfg(feature = "ui")]
impl ServiceKeys {
    /// The keys of the JWK set at `now`.
    pub(super) fn published(&self, now: i64) -> Vec<PublishedKey> {
        let active = self.current();
        let state = self.folder.as_ref().map(Followed::state);
        let statuses = state
            .as_ref()
            .map(|state| state.loaded.set.statuses(now))
            .unwrap_or_default();
        // A name in a folder without a manifest may not say when: 0.
        let known = |time: i64| Some(time).filter(|time| *time > 0);
        active
            .published
            .iter()
            .map(|key| {
                let status = statuses.iter().find(|own| own.entry.kid == key.kid());
                PublishedKey {
                    kid: key.kid().to_owned(),
                    alg: key.algorithm().name(),
                    signs: key.kid() == active.signing.kid(),
                    published: status.and_then(|own| known(own.entry.published)),
                    signs_from: status.and_then(|own| known(own.entry.signs_from)),
                    until: status.and_then(|own| own.until),
                }
            })
            .collect()
    }
}

impl Followed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the next look: at most [`INTERVAL`], and no later than a key changes its state.
    fn pause(&self) -> Duration {
        let now = unix_now();
        let change = self.state().loaded.set.at(now).next_change;
        let seconds = change.map_or(INTERVAL, |change| {
            change.saturating_sub(now).clamp(1, INTERVAL)
        });
        Duration::from_secs(seconds.unsigned_abs())
    }
}

impl State {
    fn note(&mut self, failure: Option<KeySetError>) {
        let message = failure.as_ref().map(ToString::to_string);
        if let Some(error) = failure.filter(|_| self.last_failure != message) {
            tracing::error!(
                code = error.code(),
                %error,
                "cannot follow the signing keys, the former ones stay in use"
            );
        }
        self.last_failure = message;
    }
}

async fn watching<F: Fn(&ActiveKeys) + Send + Sync + 'static>(
    keys: Arc<ServiceKeys>,
    changed: Arc<F>,
    mut hangups: Hangups,
) {
    loop {
        let Some(followed) = &keys.folder else {
            return;
        };
        let pause = followed.pause();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hangups.next() => {}
        }
        let (own, changed) = (Arc::clone(&keys), Arc::clone(&changed));
        let done = tokio::task::spawn_blocking(move || {
            if let Some(followed) = &own.folder {
                own.follow(followed, &*changed);
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "reading the signing keys ended, the former ones stay in use");
        }
    }
}

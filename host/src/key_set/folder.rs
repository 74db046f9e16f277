use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokensmith_engine::jose::Algorithm;

use super::{KeyEntry, KeySet, KeySetError, KeyState, implicit};
use crate::private_file;
use crate::signing_key::{KeyKind, SigningKey};

/// Name of the manifest in a folder of keys.
pub const MANIFEST: &str = "keys.json";
/// Suffix of the files of withdrawn keys.
const RETIRED: &str = ".retired";
/// Held while the folder is changed, never while it is read.
const LOCK: &str = ".lock";
/// How long a command waits for another process to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFolder {
    path: PathBuf,
}

/// A key set and its keys that are not withdrawn.
#[derive(Clone, Debug)]
pub struct LoadedKeys {
    /// The set.
    pub set: KeySet,
    keys: BTreeMap<String, Arc<SigningKey>>,
}

/// When a new key begins to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// When every verifier has had the time to learn it.
    WhenKnown,
    /// At once: verifiers that keep the former JWK set refuse its tokens until they fetch again.
    AtOnce,
}

impl KeyFolder {
    /// The folder at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The set: the manifest's, or what the files' names stand for.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn set(&self) -> Result<KeySet, KeySetError> {
        if let Some(set) = self.manifest()? {
            return Ok(set);
        }
        let set = implicit::read(&self.path);
        // A manifest that has come meanwhile says when the keys that were found with it sign.
        match self.manifest()? {
            Some(manifest) => Ok(manifest),
            None => set,
        }
    }

    /// The set and its keys. Keys that `former` has are not read again.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn load(&self, now: i64, former: Option<&LoadedKeys>) -> Result<LoadedKeys, KeySetError> {
        let set = self.set()?;
        let mut keys = BTreeMap::new();
        for status in set.statuses(now) {
            if status.state == KeyState::Withdrawn {
                continue;
            }
            let entry = status.entry;
            let known = former
                .and_then(|former| former.key(&entry.kid))
                .filter(|key| key.algorithm() == entry.alg);
            let key = match known {
                Some(key) => Arc::clone(key),
                None => match self.open(entry) {
                    Ok(key) => Arc::new(key),
                    // Who has keys already must still learn which of them were withdrawn.
                    Err(error) if former.is_some() && status.state != KeyState::Signing => {
                        tracing::error!(kid = entry.kid.as_str(), %error, "a key is left out");
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            keys.insert(entry.kid.clone(), key);
        }
        Ok(LoadedKeys { set, keys })
    }

    /// As [`KeyFolder::load`], but makes the folder and its first key, for ES256, where there is
    /// none. Of several processes that do so at once one makes it.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn load_or_create(&self, now: i64) -> Result<LoadedKeys, KeySetError> {
        if !self.path.exists() || self.set()?.keys.is_empty() {
            let _lock = self.lock(PATIENCE)?;
            if self.set()?.keys.is_empty() {
                // Without a manifest, so that the folder is as older versions know it.
                let key = SigningKey::generate(KeyKind::Es256)?;
                self.write_key(&key, now)?;
            }
        }
        self.load(now, None)
    }

    /// Has keys that no longer sign stay published for at least `seconds`: as long as what they
    /// signed is good.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn keep_retired(&self, seconds: i64, now: i64) -> Result<(), KeySetError> {
        if self.set()?.keep_retired >= seconds {
            return Ok(());
        }
        let _lock = self.lock(PATIENCE)?;
        let mut set = self.explicit(now)?;
        set.keep_retired = set.keep_retired.max(seconds);
        self.write(&set)
    }

    /// The key that signs at `now`. Makes and changes nothing.
    ///
    /// # Errors
    /// [`KeySetError`], [`KeySetError::NoSigner`] when there is none.
    pub fn signing_key(&self, now: i64) -> Result<Arc<SigningKey>, KeySetError> {
        // In an emergency another key's file must not stand in the way.
        let set = self.set()?;
        let entry = set.at(now).signing.ok_or_else(|| self.no_signer())?;
        self.open(entry).map(Arc::new)
    }

    /// Makes a key and publishes it.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn rotate(&self, kind: KeyKind, now: i64, begin: Begin) -> Result<KeyEntry, KeySetError> {
        let _lock = self.lock(PATIENCE)?;
        self.add(&SigningKey::generate(kind)?, now, begin)
    }

    /// Makes and publishes a key if it is time to, so that each one signs for `every` seconds. Of
    /// several processes that do so at once one makes it.
    ///
    /// # Errors
    /// [`KeySetError`]; [`KeySetError::Locked`] at once when another process is at it.
    pub fn rotate_if_due(
        &self,
        kind: KeyKind,
        now: i64,
        every: i64,
    ) -> Result<Option<KeyEntry>, KeySetError> {
        if !self.set()?.rotation_due(now, every) {
            return Ok(None);
        }
        let _lock = self.lock(Duration::ZERO)?;
        // Another process may have been at it between the look and the lock.
        if !self.set()?.rotation_due(now, every) {
            return Ok(None);
        }
        let key = SigningKey::generate(kind)?;
        self.add(&key, now, Begin::WhenKnown).map(Some)
    }

    /// Publishes a key of a PEM file, which is copied.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn import(
        &self,
        file: &Path,
        algorithm: Option<Algorithm>,
        now: i64,
        begin: Begin,
    ) -> Result<KeyEntry, KeySetError> {
        let key = SigningKey::open_for(file, algorithm)?;
        let _lock = self.lock(PATIENCE)?;
        self.add(&key, now, begin)
    }

    /// As [`KeySet::retire`].
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn retire(&self, kid: &str, now: i64, at_once: bool) -> Result<(), KeySetError> {
        self.require()?;
        let _lock = self.lock(PATIENCE)?;
        let mut set = self.explicit(now)?;
        set.retire(kid, now, at_once)?;
        self.write(&set)?;
        self.tidy_locked(&set, now).map(drop)
    }

    /// Puts the files of withdrawn keys aside, under their names with `.retired`, and returns how
    /// many those were. Does nothing while another process changes the folder.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn tidy(&self, now: i64) -> Result<usize, KeySetError> {
        let set = self.set()?;
        if !self.is_untidy(&set, now) {
            return Ok(0);
        }
        let _lock = self.lock(Duration::ZERO)?;
        self.tidy_locked(&self.set()?, now)
    }

    /// Deletes the withdrawn keys, and returns them.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn prune(&self, now: i64) -> Result<Vec<KeyEntry>, KeySetError> {
        self.require()?;
        let _lock = self.lock(PATIENCE)?;
        let mut set = self.set()?;
        if set.implicit {
            return Ok(Vec::new());
        }
        self.tidy_locked(&set, now)?;
        let withdrawn = set.take_withdrawn(now);
        // The files last: a manifest that names files which are gone could not be pruned again.
        self.write(&set)?;
        for entry in &withdrawn {
            let path = self.path.join(format!("{}{RETIRED}", entry.file));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(KeySetError::io(&path)(error));
                }
                _ => {}
            }
        }
        Ok(withdrawn)
    }

    /// The names of key files that the manifest does not have.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn strays(&self, set: &KeySet) -> Result<Vec<String>, KeySetError> {
        let mut strays = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(KeySetError::io(&self.path))? {
            let name = entry.map_err(KeySetError::io(&self.path))?.file_name();
            let name = name.to_string_lossy();
            let known = set.keys.iter().any(|key| key.file == name);
            if name.ends_with(".pem") && !name.starts_with('.') && !known {
                strays.push(name.into_owned());
            }
        }
        strays.sort();
        Ok(strays)
    }

    /// What [`KeyFolder::signing_key`] says when nothing signs.
    pub fn no_signer(&self) -> KeySetError {
        KeySetError::NoSigner {
            path: self.path.display().to_string(),
        }
    }

    fn add(&self, key: &SigningKey, now: i64, begin: Begin) -> Result<KeyEntry, KeySetError> {
        let mut set = self.explicit(now)?;
        let former = set.clone();
        let entry = KeyEntry {
            kid: key.kid().to_owned(),
            file: implicit::name_for(key, now),
            alg: key.algorithm(),
            published: now,
            signs_from: now,
            retired: None,
            withdrawn: None,
        };
        set.add(entry, now, begin == Begin::AtOnce)?;
        // The manifest has to be there before the file is: without one the newest file would sign.
        if !former.keys.is_empty() && self.manifest()?.is_none() {
            self.write(&former)?;
        }
        self.write_key(key, now)?;
        self.write(&set)?;
        set.keys.pop().ok_or_else(|| self.no_signer())
    }

    /// The set as its manifest will say it, whether or not there is one yet.
    fn explicit(&self, now: i64) -> Result<KeySet, KeySetError> {
        let mut set = self.set()?;
        if set.implicit {
            set.make_explicit(now);
        }
        Ok(set)
    }

    fn manifest(&self) -> Result<Option<KeySet>, KeySetError> {
        let path = self.path.join(MANIFEST);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeySetError::io(&path)(error)),
        };
        let wrong = |message| KeySetError::Manifest {
            path: path.display().to_string(),
            message,
        };
        let set: KeySet =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        set.check().map_err(wrong)?;
        Ok(Some(set))
    }

    fn write(&self, set: &KeySet) -> Result<(), KeySetError> {
        let path = self.path.join(MANIFEST);
        let mut text =
            serde_json::to_string_pretty(set).map_err(|error| KeySetError::Manifest {
                path: path.display().to_string(),
                message: error.to_string(),
            })?;
        text.push('\n');
        private_file::write(&path, text.as_bytes()).map_err(KeySetError::io(&path))
    }

    fn write_key(&self, key: &SigningKey, now: i64) -> Result<(), KeySetError> {
        let path = self.path.join(implicit::name_for(key, now));
        let text = key.to_pem()?;
        private_file::write(&path, text.as_bytes()).map_err(KeySetError::io(&path))
    }

    fn open(&self, entry: &KeyEntry) -> Result<SigningKey, KeySetError> {
        let path = self.path.join(&entry.file);
        let key = SigningKey::open_for(&path, Some(entry.alg))?;
        if key.kid() != entry.kid {
            return Err(KeySetError::OtherKey {
                path: path.display().to_string(),
                found: key.kid().to_owned(),
                expected: entry.kid.clone(),
            });
        }
        Ok(key)
    }

    fn withdrawn_files<'s>(
        &'s self,
        set: &'s KeySet,
        now: i64,
    ) -> impl Iterator<Item = PathBuf> + 's {
        set.statuses(now)
            .into_iter()
            .filter(|status| status.state == KeyState::Withdrawn)
            .map(move |status| self.path.join(&status.entry.file))
            .filter(|path| path.exists())
    }

    fn is_untidy(&self, set: &KeySet, now: i64) -> bool {
        self.withdrawn_files(set, now).next().is_some()
    }

    fn tidy_locked(&self, set: &KeySet, now: i64) -> Result<usize, KeySetError> {
        let mut count = 0;
        for path in self.withdrawn_files(set, now) {
            let mut aside = path.clone().into_os_string();
            aside.push(RETIRED);
            fs::rename(&path, &aside).map_err(KeySetError::io(&path))?;
            count += 1;
        }
        Ok(count)
    }

    /// For what must not make a folder where there is none.
    fn require(&self) -> Result<(), KeySetError> {
        fs::read_dir(&self.path)
            .map(drop)
            .map_err(KeySetError::io(&self.path))
    }

    /// Makes the folder if need be, and holds it until the file is dropped.
    fn lock(&self, patience: Duration) -> Result<File, KeySetError> {
        private_file::make_folder(&self.path).map_err(KeySetError::io(&self.path))?;
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(KeySetError::io(&path))?;
        private_file::give_to_folder_owner(&file, &path).map_err(KeySetError::io(&path))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(KeySetError::Locked {
                        path: self.path.display().to_string(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(KeySetError::io(&path)(error)),
            }
        }
    }
}

impl LoadedKeys {
    /// A key by its thumbprint.
    pub fn key(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.keys.get(kid)
    }

    /// The key that signs at `now`.
    pub fn signing(&self, now: i64) -> Option<&Arc<SigningKey>> {
        self.key(&self.set.at(now).signing?.kid)
    }

    /// The keys of the JWK set at `now`.
    pub fn published(&self, now: i64) -> Vec<Arc<SigningKey>> {
        self.set
            .at(now)
            .published
            .iter()
            .filter_map(|entry| self.key(&entry.kid).cloned())
            .collect()
    }
}

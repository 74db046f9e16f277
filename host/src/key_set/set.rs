use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokensmith_engine::jose::{Algorithm, is_thumbprint};

use super::KeySetError;

/// Seconds for which a key is published before it signs: no verifier keeps a JWK set longer.
pub const DEFAULT_PUBLISH_AHEAD: i64 = 600;
/// Seconds for which a key stays published after it signed last: the longest life of a token, and
/// a minute for clocks that differ.
pub const DEFAULT_KEEP_RETIRED: i64 = 3600 + 60;
/// More keys than verifiers accept in one set are of no use.
const MOST_KEYS: usize = 256;
/// Entries of withdrawn keys stay until they are pruned; this many are no manifest.
const MOST_ENTRIES: usize = 65_536;
const VERSION: u32 = 1;

/// The keys of a folder: the content of its manifest.
///
/// ```
/// use tokensmith::key_set::{KeyEntry, KeySet};
/// use tokensmith_engine::jose::Algorithm;
/// let key = |kid: &str, published, signs_from| KeyEntry {
///     kid: kid.to_owned(), file: format!("{kid}.pem"), alg: Algorithm::ES256,
///     published, signs_from, retired: None, withdrawn: None,
/// };
/// let mut set = KeySet::default();
/// set.keys = vec![key("old", 0, 0), key("new", 1_000, 1_600)];
/// let signer = |now| set.at(now).signing.map(|key| key.kid.clone());
/// assert_eq!(signer(1_599).as_deref(), Some("old"));
/// assert_eq!(signer(1_600).as_deref(), Some("new"));
/// assert_eq!(set.at(1_000).published.len(), 2);
/// assert_eq!(set.at(1_600 + 3_660).published.len(), 1, "no token of the old key is left");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    pub(super) version: u32,
    /// Seconds for which a new key is published before it signs.
    pub publish_ahead: i64,
    /// Seconds for which a key stays published after it signed last.
    pub keep_retired: i64,
    /// The keys, in the order in which they were added.
    pub keys: Vec<KeyEntry>,
    /// Read from the names in a folder without a manifest: superseded keys stay published.
    #[serde(skip)]
    pub(super) implicit: bool,
}

/// One key of a set. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Name of its file in the folder.
    pub file: String,
    /// What it signs with.
    #[serde(serialize_with = "write_name", deserialize_with = "read_name")]
    pub alg: Algorithm,
    /// When it was published.
    pub published: i64,
    /// From when it signs, until another key does.
    pub signs_from: i64,
    /// When it was retired by hand, which counts before what other keys say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<i64>,
    /// When it was withdrawn by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<i64>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// In the JWK set, not signing yet.
    Published,
    /// Signing.
    Signing,
    /// In the JWK set, for the tokens it signed.
    Retired,
    /// No longer in the JWK set.
    Withdrawn,
}

/// A key's state and how long it is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStatus<'s> {
    /// The key.
    pub entry: &'s KeyEntry,
    /// Its state.
    pub state: KeyState,
    /// Since when.
    pub since: i64,
    /// Until when, if that is known.
    pub until: Option<i64>,
}

/// What a set is at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysAt<'s> {
    /// The key that signs.
    pub signing: Option<&'s KeyEntry>,
    /// The keys of the JWK set, the one that signs among them.
    pub published: Vec<&'s KeyEntry>,
    /// When any of this changes, if nobody changes the set.
    pub next_change: Option<i64>,
}

impl KeySet {
    /// What signs and what is published at `now`: a function of the set and the time alone.
    pub fn at(&self, now: i64) -> KeysAt<'_> {
        let statuses = self.statuses(now);
        let of = |state: KeyState| statuses.iter().filter(move |status| status.state == state);
        // A clock that is behind the one that made the first key would find none that signs.
        let first = || of(KeyState::Published).min_by_key(|status| status.entry.signs_from);
        let signing = of(KeyState::Signing)
            .max_by_key(|status| status.entry.signs_from)
            .or_else(first);
        KeysAt {
            signing: signing.map(|status| status.entry),
            published: statuses
                .iter()
                .filter(|status| status.state != KeyState::Withdrawn)
                .map(|status| status.entry)
                .collect(),
            next_change: statuses
                .iter()
                .filter(|status| status.state != KeyState::Withdrawn)
                .filter_map(|status| status.until)
                .min(),
        }
    }

    /// Every key with its state at `now`, in the order of the set.
    pub fn statuses(&self, now: i64) -> Vec<KeyStatus<'_>> {
        (0..)
            .zip(&self.keys)
            .map(|(index, entry)| self.status(index, entry, now))
            .collect()
    }

    fn status<'s>(&'s self, index: usize, entry: &'s KeyEntry, now: i64) -> KeyStatus<'s> {
        let ended = entry.retired.or_else(|| self.superseded(index, entry));
        let gone = [self.forgotten(entry, ended), entry.withdrawn]
            .into_iter()
            .flatten()
            .min();
        let (state, since, until) = if let Some(gone) = gone.filter(|gone| *gone <= now) {
            (KeyState::Withdrawn, gone, None)
        } else if let Some(ended) = ended.filter(|ended| *ended <= now) {
            (KeyState::Retired, ended, gone)
        } else if entry.signs_from <= now {
            let until = [ended, gone].into_iter().flatten().min();
            (
                KeyState::Signing,
                entry.signs_from.max(entry.published),
                until,
            )
        } else {
            let until = gone.map_or(entry.signs_from, |gone| gone.min(entry.signs_from));
            (KeyState::Published, entry.published, Some(until))
        };
        KeyStatus {
            entry,
            state,
            since,
            until,
        }
    }

    /// When another key takes over; of two that begin at once the later one in the set signs.
    fn superseded(&self, index: usize, entry: &KeyEntry) -> Option<i64> {
        (0..)
            .zip(&self.keys)
            .filter(|(other, key)| {
                key.ever_signs() && (key.signs_from, *other) > (entry.signs_from, index)
            })
            .map(|(_, key)| key.signs_from)
            .min()
    }

    /// When no token of the key is left. One that never signed has none.
    fn forgotten(&self, entry: &KeyEntry, ended: Option<i64>) -> Option<i64> {
        let ended = ended?;
        if !entry.ever_signs() {
            return Some(ended);
        }
        if self.implicit {
            return None;
        }
        Some(ended.saturating_add(self.keep_retired))
    }

    /// Adds a key that is published at `now` and signs as soon as verifiers know it, or at once
    /// when `at_once` or when no other key signs.
    ///
    /// # Errors
    /// [`KeySetError::Known`], or [`KeySetError::Full`] when as many are published as verifiers
    /// accept.
    pub fn add(&mut self, mut entry: KeyEntry, now: i64, at_once: bool) -> Result<(), KeySetError> {
        if self.keys.iter().any(|key| key.kid == entry.kid) {
            return Err(KeySetError::Known { kid: entry.kid });
        }
        let published = self
            .statuses(now)
            .iter()
            .filter(|status| status.state != KeyState::Withdrawn)
            .count();
        if published >= MOST_KEYS || self.keys.len() >= MOST_ENTRIES {
            return Err(KeySetError::Full);
        }
        entry.published = now;
        entry.signs_from = if at_once || self.at(now).signing.is_none() {
            now
        } else {
            now.saturating_add(self.publish_ahead)
        };
        self.keys.push(entry);
        Ok(())
    }

    /// Retires a key before its time, and with `at_once` withdraws it, for one that others know.
    ///
    /// # Errors
    /// [`KeySetError::Unknown`], or [`KeySetError::StillSigning`] when nothing would sign.
    pub fn retire(&mut self, kid: &str, now: i64, at_once: bool) -> Result<(), KeySetError> {
        let state = self
            .statuses(now)
            .iter()
            .find(|status| status.entry.kid == kid)
            .map(|status| status.state)
            .ok_or_else(|| KeySetError::Unknown {
                kid: kid.chars().take(64).collect(),
            })?;
        let mut next = self.clone();
        for key in next.keys.iter_mut().filter(|key| key.kid == kid) {
            if matches!(state, KeyState::Published | KeyState::Signing) {
                key.retired = Some(now);
            }
            if at_once && state != KeyState::Withdrawn {
                key.withdrawn = Some(now);
            }
        }
        let signs = |set: &KeySet| {
            let signing = set.at(now).signing;
            signing.is_some_and(|key| key.signs_from <= now)
        };
        if signs(self) && !signs(&next) {
            return Err(KeySetError::StillSigning {
                kid: kid.to_owned(),
            });
        }
        *self = next;
        Ok(())
    }

    /// Whether it is time to publish another key so that each one signs for `every` seconds.
    pub fn rotation_due(&self, now: i64, every: i64) -> bool {
        let last = self
            .keys
            .iter()
            .filter(|key| key.ever_signs())
            .map(|key| key.signs_from.max(key.published))
            .max();
        last.is_none_or(|last| {
            now >= last
                .saturating_add(every)
                .saturating_sub(self.publish_ahead)
        })
    }

    /// Takes the withdrawn keys out, and returns them.
    pub fn take_withdrawn(&mut self, now: i64) -> Vec<KeyEntry> {
        // A key must not sign again because the one that superseded it is gone.
        self.fix_retirements(now);
        let withdrawn: Vec<KeyEntry> = self
            .statuses(now)
            .into_iter()
            .filter(|status| status.state == KeyState::Withdrawn)
            .map(|status| status.entry.clone())
            .collect();
        self.keys
            .retain(|key| !withdrawn.iter().any(|gone| gone.kid == key.kid));
        withdrawn
    }

    /// Makes a set that was read from names one that says when each key retired.
    pub(super) fn make_explicit(&mut self, now: i64) {
        if self.implicit {
            let signing = self.at(now).signing.map(|key| key.kid.clone());
            for key in &mut self.keys {
                if Some(&key.kid) != signing.as_ref() {
                    key.retired = Some(now);
                }
            }
            self.implicit = false;
        }
    }

    fn fix_retirements(&mut self, now: i64) {
        let retired: Vec<Option<i64>> = self
            .statuses(now)
            .iter()
            .map(|status| (status.state == KeyState::Retired).then_some(status.since))
            .collect();
        for (key, retired) in self.keys.iter_mut().zip(retired) {
            key.retired = retired.or(key.retired);
        }
    }

    /// What is wrong with a manifest that was read.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "version {} is not known, only {VERSION}",
                self.version
            ));
        }
        if self.publish_ahead < 0 || self.keep_retired < 0 {
            return Err("`publish_ahead` or `keep_retired` is negative".to_owned());
        }
        if self.keys.len() > MOST_ENTRIES {
            return Err(format!("more than {MOST_ENTRIES} keys"));
        }
        for (index, key) in self.keys.iter().enumerate() {
            if !is_thumbprint(&key.kid) {
                return Err(format!("`{}` is not a thumbprint", key.kid));
            }
            if key.file.starts_with('.') || key.file.contains(['/', '\0']) || key.file.is_empty() {
                return Err(format!("`{}` is not the name of a key's file", key.file));
            }
            let twice = self
                .keys
                .iter()
                .take(index)
                .any(|other| other.kid == key.kid || other.file == key.file);
            if twice {
                return Err(format!("key `{}` or its file is there twice", key.kid));
            }
        }
        Ok(())
    }
}

impl Default for KeySet {
    fn default() -> Self {
        Self {
            version: VERSION,
            publish_ahead: DEFAULT_PUBLISH_AHEAD,
            keep_retired: DEFAULT_KEEP_RETIRED,
            keys: Vec::new(),
            implicit: false,
        }
    }
}

impl KeyEntry {
    /// Not when it was retired or withdrawn before its time came.
    fn ever_signs(&self) -> bool {
        let before = |end: Option<i64>| end.is_some_and(|end| end <= self.signs_from);
        // One that began at once and was retired in the same second did sign.
        let began_at_once = self.published >= self.signs_from;
        began_at_once || !(before(self.retired) || before(self.withdrawn))
    }
}

impl KeyState {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            KeyState::Published => "published",
            KeyState::Signing => "signing",
            KeyState::Retired => "retired",
            KeyState::Withdrawn => "withdrawn",
        }
    }
}

fn write_name<S: Serializer>(algorithm: &Algorithm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(algorithm.name())
}

fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    let name = String::deserialize(deserializer)?;
    Algorithm::from_name(&name).map_err(D::Error::custom)
}

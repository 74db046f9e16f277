//! Policy texts from files and folders.

mod error;
mod places;
pub mod reload;

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::policy::{self, BASELINE_MODEL, PolicyError, Source};

pub use error::{PolicyFileError, PolicyLoadError};

use places::{Places, Text};

/// How often files are read that change while they are read.
const ATTEMPTS: usize = 5;

/// Where a policy's texts are.
///
/// A folder stands for the `*.csv` files in it, not those in folders below and not those whose
/// names begin with a dot, in byte order of their names.
///
/// A symbolic link is followed when it leads to a file inside of the folder: the one named here,
/// or the one that a file named here is in. That is how Kubernetes mounts ConfigMaps and Secrets.
/// Any other is an error. What leads to the folder itself may be links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPaths {
    /// The model; the baseline model without.
    pub model: Option<PathBuf>,
    /// Files and folders of the rules, policy and grouping rows, all counting together.
    pub rules: Vec<PathBuf>,
    /// Whether the baseline rules count too.
    pub baseline: bool,
}

/// The texts of a policy, each with the name that errors call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySources {
    /// Name and text of the model.
    pub model: (String, String),
    /// Names and texts of the rules, in order.
    pub rules: Vec<(String, String)>,
}

/// Tells whether the texts of a policy or their names have changed: their SHA-256.
///
/// It is not the policy version, which tells whether their meaning has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Reads the files and folders that `paths` names.
///
/// All files are of one state of a Kubernetes volume, also when it changes at this moment. A byte
/// order mark is left out.
///
/// # Errors
/// [`PolicyFileError`]: more than 1,000 files of rules, a file of more than 64 MiB, one that is not
/// UTF-8, cannot be read or is no file, and a symbolic link that leads out of its folder.
///
/// ```
/// use tokensmith_policy_files::{PolicyPaths, read};
/// let paths = PolicyPaths { baseline: true, ..PolicyPaths::default() };
/// let sources = read(&paths).unwrap();
/// assert_eq!(sources.rules.len(), 1);
/// assert!(sources.compile().is_ok());
/// ```
pub fn read(paths: &PolicyPaths) -> Result<PolicySources, PolicyFileError> {
    let mut refused = PolicyFileError::Changing;
    for _ in 0..ATTEMPTS {
        // Links lead to nothing for a moment when a Kubernetes volume changes.
        let places = match Places::find(paths) {
            Ok(places) => places,
            Err(error) => {
                refused = error;
                continue;
            }
        };
        let texts = places.read();
        // Whatever was exchanged meanwhile would be a mixture of old and new.
        if Places::find(paths).is_ok_and(|again| again == places) {
            let (model, rules) = texts?;
            return Ok(PolicySources::new(model, rules, paths.baseline));
        }
        refused = PolicyFileError::Changing;
    }
    Err(refused)
}

impl PolicyPaths {
    /// The files of a folder: `model.conf` if it is there, and every `*.csv`, added to the
    /// baseline rules (to nothing when the folder has its own model).
    ///
    /// # Errors
    /// [`PolicyLoadError::File`] when it cannot be told whether there is a `model.conf`.
    pub fn in_folder(folder: &Path) -> Result<Self, PolicyLoadError> {
        let model = places::existing(folder.join("model.conf"))?;
        Ok(Self {
            baseline: model.is_none(),
            model,
            rules: vec![folder.to_owned()],
        })
    }

    /// Reads and compiles them.
    ///
    /// # Errors
    /// [`PolicyLoadError`], naming the file, and line and column where there is one.
    pub fn compile(&self) -> Result<CompiledPolicy, PolicyLoadError> {
        Ok(read(self)?.compile()?)
    }
}

impl PolicySources {
    fn new(model: Option<Text>, mut rules: Vec<Text>, baseline: bool) -> Self {
        if baseline {
            let baseline = ("<baseline rules>".to_owned(), policy::baseline_rules());
            rules.insert(0, baseline);
        }
        let model =
            model.unwrap_or_else(|| ("<baseline model>".to_owned(), BASELINE_MODEL.to_owned()));
        Self { model, rules }
    }

    /// Compiles them.
    ///
    /// # Errors
    /// [`PolicyError`], naming file, line and column.
    pub fn compile(&self) -> Result<CompiledPolicy, PolicyError> {
        let rules: Vec<Source<'_>> = self
            .rules
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect();
        let (name, text) = &self.model;
        policy::compile(Source { name, text }, &rules)
    }

    /// Equal for equal texts under equal names only.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for (name, text) in std::iter::once(&self.model).chain(&self.rules) {
            // Each goes in behind its length, so that no text can pass for two.
            for part in [name, text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        Fingerprint(hash.finalize().into())
    }
}

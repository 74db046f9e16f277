//! Policy texts from files and folders.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tokensmith_engine::authz::CompiledPolicy;
use tokensmith_engine::policy::{self, BASELINE_MODEL, PolicyError, Source};

/// A policy does not load.
#[derive(Debug, Error)]
pub enum PolicyFilesError {
    /// A file or folder cannot be read.
    #[error("cannot read policy `{path}`: {error}")]
    Read {
        /// The file or folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The texts are not a policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Where a policy's texts are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    /// The model; the baseline model without.
    pub model: Option<PathBuf>,
    /// The rules, policy and grouping rows, all counting together.
    pub rules: Vec<PathBuf>,
    /// Whether the baseline rules count too.
    pub baseline: bool,
}

impl PolicyFiles {
    /// The files of a folder: `model.conf` if it is there, and every `*.csv` in order of name,
    /// added to the baseline rules (to nothing when the folder has its own model).
    ///
    /// # Errors
    /// [`PolicyFilesError::Read`].
    pub fn in_folder(folder: &Path) -> Result<Self, PolicyFilesError> {
        let mut rules = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(read_error(folder))? {
            let path = entry.map_err(read_error(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "csv") && path.is_file() {
                rules.push(path);
            }
        }
        rules.sort();
        let model = Some(folder.join("model.conf")).filter(|path| path.is_file());
        Ok(Self {
            baseline: model.is_none(),
            model,
            rules,
        })
    }

    /// Reads and compiles them.
    ///
    /// # Errors
    /// [`PolicyFilesError`], naming file, line and column.
    pub fn compile(&self) -> Result<CompiledPolicy, PolicyFilesError> {
        let model = match &self.model {
            Some(path) => read(path)?,
            None => ("<baseline model>".to_owned(), BASELINE_MODEL.to_owned()),
        };
        let mut rules = Vec::new();
        if self.baseline {
            rules.push(("<baseline rules>".to_owned(), policy::baseline_rules()));
        }
        for path in &self.rules {
            rules.push(read(path)?);
        }
        let sources: Vec<Source<'_>> = rules
            .iter()
            .map(|(name, text)| Source { name, text })
            .collect();
        let model = Source {
            name: &model.0,
            text: &model.1,
        };
        Ok(policy::compile(model, &sources)?)
    }
}

fn read(path: &Path) -> Result<(String, String), PolicyFilesError> {
    let text = std::fs::read_to_string(path).map_err(read_error(path))?;
    Ok((path.display().to_string(), text))
}

fn read_error(path: &Path) -> impl Fn(std::io::Error) -> PolicyFilesError {
    let path = path.display().to_string();
    move |error| PolicyFilesError::Read {
        path: path.clone(),
        error,
    }
}

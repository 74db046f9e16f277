use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::{PolicyFileError, PolicyPaths};

/// The most files of rules.
const FILES: usize = 1000;
/// The most bytes of one file.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A name and a text.
pub(super) type Text = (String, String);

/// The files that a policy's paths stand for at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    model: Option<Place>,
    rules: Vec<Place>,
}

/// A file.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// As it was named.
    named: PathBuf,
    /// Without links: another one when a Kubernetes volume has changed.
    real: PathBuf,
}

impl Places {
    pub(super) fn find(paths: &PolicyPaths) -> Result<Self, PolicyFileError> {
        let model = match &paths.model {
            Some(path) => Some(Place::of_file(path)?),
            None => None,
        };
        let mut rules = Vec::new();
        for path in &paths.rules {
            if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
                in_folder(path, &mut rules)?;
            } else {
                rules.push(Place::of_file(path)?);
            }
            if rules.len() > FILES {
                return Err(too_many(path));
            }
        }
        Ok(Self { model, rules })
    }

    /// The model's text and those of the rules.
    pub(super) fn read(&self) -> Result<(Option<Text>, Vec<Text>), PolicyFileError> {
        let model = self.model.as_ref().map(Place::read).transpose()?;
        let rules: Result<Vec<Text>, PolicyFileError> =
            self.rules.iter().map(Place::read).collect();
        Ok((model, rules?))
    }
}

/// `path` if there is anything, be it a link to nothing.
pub(super) fn existing(path: PathBuf) -> Result<Option<PathBuf>, PolicyFileError> {
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(Some(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path)(error)),
    }
}

fn in_folder(folder: &Path, found: &mut Vec<Place>) -> Result<(), PolicyFileError> {
    let root = fs::canonicalize(folder).map_err(unreadable(folder))?;
    let mut names: Vec<OsString> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let name = entry.map_err(unreadable(folder))?.file_name();
        if is_rules(&name) {
            names.push(name);
        }
        if names.len() > FILES {
            return Err(too_many(folder));
        }
    }
    // Names are bytes on Unix, and this is their order.
    names.sort();
    for name in names {
        let place = Place::resolve(folder.join(name), folder, &root)?;
        // A folder may be called like a file.
        if !place.real.is_dir() {
            found.push(place.checked()?);
        }
    }
    Ok(())
}

/// Whether a file of this name in a folder is one of rules. Dot files are drafts of editors and
/// the inner parts of Kubernetes volumes.
fn is_rules(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".csv") && !name.starts_with(b".")
}

impl Place {
    /// A file that was named itself: it may be a link within the folder that it is in.
    fn of_file(path: &Path) -> Result<Self, PolicyFileError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let root = fs::canonicalize(folder).map_err(unreadable(path))?;
        Self::resolve(path.to_owned(), folder, &root)?.checked()
    }

    /// Follows links as far as they lead to a place in `folder`, whose path without links is
    /// `root`.
    fn resolve(named: PathBuf, folder: &Path, root: &Path) -> Result<Self, PolicyFileError> {
        let link = |target: &Path| PolicyFileError::Link {
            link: named.display().to_string(),
            target: target.display().to_string(),
            folder: folder.display().to_string(),
        };
        match fs::canonicalize(&named) {
            Ok(real) if real.starts_with(root) => Ok(Self { named, real }),
            Ok(real) => Err(link(&real)),
            Err(error) => Err(match fs::read_link(&named) {
                Ok(target) if error.kind() == ErrorKind::NotFound => link(&target),
                _ => unreadable(&named)(error),
            }),
        }
    }

    /// Refuses what is no file: reading from a pipe would never end.
    fn checked(self) -> Result<Self, PolicyFileError> {
        let metadata = fs::metadata(&self.real).map_err(unreadable(&self.named))?;
        if metadata.is_file() {
            Ok(self)
        } else {
            Err(PolicyFileError::NotAFile { path: self.name() })
        }
    }

    fn read(&self) -> Result<Text, PolicyFileError> {
        let file = File::open(&self.real).map_err(unreadable(&self.named))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable(&self.named))?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(PolicyFileError::TooLarge { path: self.name() });
        }
        let text = String::from_utf8(bytes).map_err(|error| PolicyFileError::Encoding {
            path: self.name(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        let text = text
            .strip_prefix('\u{feff}')
            .map(str::to_owned)
            .unwrap_or(text);
        Ok((self.name(), text))
    }

    fn name(&self) -> String {
        self.named.display().to_string()
    }
}

fn too_many(path: &Path) -> PolicyFileError {
    PolicyFileError::TooMany {
        path: path.display().to_string(),
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> PolicyFileError {
    let path = path.display().to_string();
    move |error| PolicyFileError::Read {
        path: path.clone(),
        error,
    }
}

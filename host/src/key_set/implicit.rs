//! Folders without a manifest, as older versions and operators made them: the last key by name
//! signs, the others stay published.

use std::path::Path;

use super::{KeyEntry, KeySet, KeySetError};
use crate::signing_key::SigningKey;

/// The set that the names in `folder` stand for.
pub(super) fn read(folder: &Path) -> Result<KeySet, KeySetError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(KeySetError::io(folder))? {
        let name = entry.map_err(KeySetError::io(folder))?.file_name();
        if let Some(name) = name.to_str()
            && name.ends_with(".pem")
            && !name.starts_with('.')
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    let mut set = KeySet {
        implicit: true,
        ..KeySet::default()
    };
    for file in names {
        let key = SigningKey::open(&folder.join(&file))?;
        // Two files of one key: the later name counts.
        set.keys.retain(|other| other.kid != key.kid());
        set.keys.push(KeyEntry {
            kid: key.kid().to_owned(),
            alg: key.algorithm(),
            published: time_in_name(&file),
            signs_from: 0,
            retired: None,
            withdrawn: None,
            file,
        });
    }
    Ok(set)
}

/// The name of the file of a new key: sorts after all older ones.
pub(super) fn name_for(key: &SigningKey, now: i64) -> String {
    let short: String = key.kid().chars().take(8).collect();
    let algorithm = key.algorithm().name().to_ascii_lowercase();
    format!("{now:012}-{short}-{algorithm}.pem")
}

/// When a key was made, if its name begins with that; 0 otherwise.
fn time_in_name(name: &str) -> i64 {
    name.split('-')
        .next()
        .filter(|digits| digits.len() == 12)
        .and_then(|digits| digits.parse().ok())
        .filter(|time| *time >= 0)
        .unwrap_or(0)
}

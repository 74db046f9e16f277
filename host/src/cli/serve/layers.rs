use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::{AuditArgs, StoreArgs};
use crate::cli::CliError;
use crate::config_file::{ConfigFile, ConfigFileError, ServeSection};
use crate::service::Origin;
use crate::store::StoreLocation;

/// `--issuer` without a value.
pub(super) const DEFAULT_ISSUER: &str = "http://tokensmith:8080";
/// `--cluster-id` without a value.
pub(super) const DEFAULT_CLUSTER_ID: &str = "cl-F00F00F00";
/// `--openchami-id` without a value.
pub(super) const DEFAULT_OPENCHAMI_ID: &str = "oc-F00F00F00";
/// `--key-dir` without a value.
pub(super) const DEFAULT_KEY_DIR: &str = "./data/keys";
/// `--bootstrap-store` without a value.
pub(super) const DEFAULT_BOOTSTRAP_STORE: &str = "./data/bootstrap-tokens";

/// Where settings are taken from: a flag, else the environment, else the configuration file, else
/// the default.
#[derive(Debug, Default)]
pub(in crate::cli) struct Layers {
    /// The arguments whose values are the environment's.
    environment: BTreeSet<String>,
    file: ConfigFile,
}

/// Which signing keys to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum KeyPlace {
    /// One key.
    File(PathBuf),
    /// A folder's.
    Folder(PathBuf),
}

impl Layers {
    /// Reads the configuration file if there is one.
    pub(in crate::cli) fn read(
        matches: &ArgMatches,
        config: Option<&Path>,
    ) -> Result<Self, ConfigFileError> {
        Ok(Self {
            environment: from_environment(matches),
            file: config
                .map(ConfigFile::read)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// The configuration file's content.
    pub(in crate::cli) fn file(&self) -> &ConfigFile {
        &self.file
    }

    pub(in crate::cli) fn issuer(&self, given: Option<String>) -> String {
        let file = &self.serve().issuer;
        or_file(given, file).unwrap_or_else(|| DEFAULT_ISSUER.to_owned())
    }

    pub(in crate::cli) fn cluster_id(&self, given: Option<String>) -> String {
        let file = &self.serve().cluster_id;
        or_file(given, file).unwrap_or_else(|| DEFAULT_CLUSTER_ID.to_owned())
    }

    pub(in crate::cli) fn openchami_id(&self, given: Option<String>) -> String {
        let file = &self.serve().openchami_id;
        or_file(given, file).unwrap_or_else(|| DEFAULT_OPENCHAMI_ID.to_owned())
    }

    pub(in crate::cli) fn key_dir(&self, given: Option<PathBuf>) -> PathBuf {
        let file = &self.serve().key_dir;
        or_file(given, file).unwrap_or_else(|| DEFAULT_KEY_DIR.into())
    }

    pub(in crate::cli) fn audit_log(&self, given: &AuditArgs) -> Option<PathBuf> {
        or_file(given.audit_log.clone(), &self.serve().audit_log)
    }

    /// Where the store is.
    ///
    /// # Errors
    /// [`CliError::Usage`]: `--store` is no location.
    pub(in crate::cli) fn store(&self, given: &StoreArgs) -> Result<StoreLocation, CliError> {
        let (store, _) = self.store_and_origin(given).map_err(CliError::Usage)?;
        Ok(store)
    }

    /// `--store`, or the folder of `--bootstrap-store` where that is given in a higher layer.
    ///
    /// # Errors
    /// What is wrong with `--store`, without a password.
    pub(super) fn store_and_origin(
        &self,
        given: &StoreArgs,
    ) -> Result<(StoreLocation, Origin), String> {
        let file = self.serve();
        let store = given.store.clone().transpose()?;
        let store = self.pick("store", store, file.store.as_ref());
        let folder = self.pick(
            "bootstrap_store",
            given.bootstrap_store.clone(),
            file.bootstrap_store.as_ref(),
        );
        Ok(match (store, folder) {
            (Some((_, below)), Some((folder, above))) if above > below => {
                (StoreLocation::in_folder(&folder), above)
            }
            (Some(store), _) => store,
            (None, Some((folder, origin))) => (StoreLocation::in_folder(&folder), origin),
            (None, None) => (
                StoreLocation::in_folder(Path::new(DEFAULT_BOOTSTRAP_STORE)),
                Origin::Default,
            ),
        })
    }

    /// `--key-file` or `--key-dir`, whichever is given in the higher layer.
    ///
    /// # Errors
    /// Both are given in one layer.
    pub(in crate::cli) fn keys(
        &self,
        key_file: Option<PathBuf>,
        key_dir: Option<PathBuf>,
    ) -> Result<Option<(KeyPlace, Origin)>, String> {
        let file = self.serve();
        let key_file = self.pick("key_file", key_file, file.key_file.as_ref());
        let key_dir = self.pick("key_dir", key_dir, file.key_dir.as_ref());
        match (key_file, key_dir) {
            (Some((_, one)), Some((_, other))) if one == other => Err(format!(
                "`--key-file` and `--key-dir` are both given ({}): give one of them",
                one.name()
            )),
            (Some((path, origin)), Some((_, other))) if origin > other => {
                Ok(Some((KeyPlace::File(path), origin)))
            }
            (_, Some((path, origin))) => Ok(Some((KeyPlace::Folder(path), origin))),
            (Some((path, origin)), None) => Ok(Some((KeyPlace::File(path), origin))),
            (None, None) => Ok(None),
        }
    }

    /// The value of the argument `name`, which was `given` as a flag or by the environment, or
    /// that of the `file`.
    pub(super) fn pick<T: Clone>(
        &self,
        name: &str,
        given: Option<T>,
        file: Option<&T>,
    ) -> Option<(T, Origin)> {
        match given {
            Some(value) if self.environment.contains(name) => Some((value, Origin::Environment)),
            Some(value) => Some((value, Origin::Flag)),
            None => file.map(|value| (value.clone(), Origin::File)),
        }
    }

    fn serve(&self) -> &ServeSection {
        &self.file.serve
    }
}

fn or_file<T: Clone>(given: Option<T>, file: &Option<T>) -> Option<T> {
    given.or_else(|| file.clone())
}

/// The arguments of the command that runs whose values are the environment's.
fn from_environment(matches: &ArgMatches) -> BTreeSet<String> {
    let mut command = matches;
    while let Some((_, below)) = command.subcommand() {
        command = below;
    }
    command
        .ids()
        .map(|id| id.as_str())
        .filter(|id| command.value_source(id) == Some(ValueSource::EnvVariable))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(environment: &[&str], toml: &str) -> Layers {
        Layers {
            environment: environment.iter().map(|name| (*name).to_owned()).collect(),
            file: ConfigFile::parse("a.toml", toml).unwrap(),
        }
    }

    #[test]
    fn the_higher_layer_chooses_between_key_file_and_folder() {
        let path = |text: &str| Some(PathBuf::from(text));
        let both = "[serve]\nkey_file = 'f'\nkey_dir = 'd'\n";
        for (environment, toml, key_file, key_dir, expected) in [
            (vec![], "", None, None, Ok(None)),
            (vec![], "", path("a"), path("b"), Err(())),
            (
                vec!["key_file", "key_dir"],
                "",
                path("a"),
                path("b"),
                Err(()),
            ),
            (vec![], both, None, None, Err(())),
            (
                vec!["key_dir"],
                both,
                path("a"),
                path("b"),
                Ok(Some(KeyPlace::File("a".into()))),
            ),
            (
                vec!["key_file"],
                both,
                path("a"),
                path("b"),
                Ok(Some(KeyPlace::Folder("b".into()))),
            ),
            (
                vec![],
                "[serve]\nkey_dir = 'd'",
                path("a"),
                None,
                Ok(Some(KeyPlace::File("a".into()))),
            ),
            (
                vec![],
                "[serve]\nkey_file = 'f'",
                None,
                None,
                Ok(Some(KeyPlace::File("f".into()))),
            ),
            (
                vec![],
                "[serve]\nkey_file = 'f'",
                None,
                path("b"),
                Ok(Some(KeyPlace::Folder("b".into()))),
            ),
        ] {
            let chosen = layers(&environment, toml).keys(key_file, key_dir);
            let chosen = chosen.map(|chosen| chosen.map(|(place, _)| place));
            assert_eq!(chosen.map_err(drop), expected, "{environment:?} {toml}");
        }
    }

    #[test]
    fn a_folder_beats_a_store_of_a_lower_layer_only() {
        let given = |store: Option<&str>, folder: Option<&str>| StoreArgs {
            store: store.map(str::parse),
            bootstrap_store: folder.map(PathBuf::from),
        };
        let file = "[serve]\nstore = 'sqlite:file.db'\nbootstrap_store = 'c'\n";
        for (toml, given, expected) in [
            (
                "",
                given(None, None),
                "sqlite:./data/bootstrap-tokens/tokensmith.db",
            ),
            ("", given(None, Some("b")), "sqlite:b/tokensmith.db"),
            ("", given(Some("sqlite:a"), Some("b")), "sqlite:a"),
            (file, given(None, None), "sqlite:file.db"),
            (file, given(None, Some("b")), "sqlite:b/tokensmith.db"),
            (file, given(Some("sqlite:a"), None), "sqlite:a"),
        ] {
            let store = layers(&[], toml).store(&given).unwrap();
            assert_eq!(store.to_string(), expected);
        }
        let wrong = given(Some("redis://u:secret@h"), None);
        let problem = layers(&[], file).store(&wrong).unwrap_err().to_string();
        assert!(problem.contains("`redis://u@h`"), "{problem}");
    }
}

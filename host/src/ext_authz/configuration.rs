use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokensmith_engine::decide::Config;
use tokio::time::MissedTickBehavior;

use super::{Authorization, ExtAuthzError};
use crate::hangup::Hangups;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// A configuration with a policy of more bytes than this is a mistake.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A configuration's file, and what it held when it was looked at last.
#[derive(Debug)]
pub(super) struct ConfigurationFile {
    path: PathBuf,
    text: Vec<u8>,
    /// Why that is not in use, if it is not.
    refused: Option<String>,
}

impl ConfigurationFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// [`ExtAuthzError::Read`], [`ExtAuthzError::Config`].
    pub(super) fn open(path: &Path) -> Result<(Self, Authorization), ExtAuthzError> {
        let text = read(path)?;
        let authorization = Config::from_json(&text)
            .and_then(|config| Authorization::new(&config))
            .map_err(|error| refused(path, error))?;
        authorization.metrics().loaded(true);
        let own = Self {
            path: path.to_owned(),
            text,
            refused: None,
        };
        Ok((own, authorization))
    }

    /// Takes into use what the file holds now; with `forced` also what was refused before. What
    /// cannot be taken is logged and counted, once unless forced. Blocks while it does.
    fn look(&mut self, authorization: &Authorization, forced: bool) {
        let taken = match read(&self.path) {
            Ok(text) if text == self.text && !(forced && self.refused.is_some()) => return,
            Ok(text) => {
                self.text = text;
                Config::from_json(&self.text)
                    .and_then(|config| authorization.replace(&config))
                    .map_err(|error| refused(&self.path, error))
            }
            Err(error) => {
                // Whatever it holds next is to be looked at.
                self.text.clear();
                Err(error)
            }
        };
        match taken {
            Ok(()) => {
                self.refused = None;
                authorization.metrics().loaded(true);
                tracing::info!(
                    policy_version = authorization.policy_version(),
                    "configuration of external authorization loaded"
                );
            }
            Err(error) => {
                let message = error.to_string();
                if forced || self.refused.as_ref() != Some(&message) {
                    authorization.metrics().loaded(false);
                    tracing::error!(
                        code = error.code(),
                        %error,
                        "configuration of external authorization not loaded, the former one stays in use"
                    );
                }
                self.refused = Some(message);
            }
        }
    }
}

/// Looks at the file every ten seconds and at each SIGHUP, until it is dropped.
pub(super) async fn following(
    mut file: ConfigurationFile,
    authorization: Arc<Authorization>,
    mut hangups: Hangups,
) {
    let mut looks = tokio::time::interval(INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once.
    looks.tick().await;
    loop {
        let forced = tokio::select! {
            _ = looks.tick() => false,
            () = hangups.next() => true,
        };
        let authorization = Arc::clone(&authorization);
        let looked = tokio::task::spawn_blocking(move || {
            file.look(&authorization, forced);
            file
        });
        match looked.await {
            Ok(own) => file = own,
            Err(error) => {
                tracing::error!(%error, "following the configuration of external authorization ended");
                return;
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ExtAuthzError> {
    let refused = |error: io::Error| ExtAuthzError::Read {
        path: path.display().to_string(),
        error,
    };
    let wrong = |message: String| refused(io::Error::new(io::ErrorKind::InvalidData, message));
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(refused)?.is_file() {
        return Err(wrong("it is no file".to_owned()));
    }
    let file = File::open(path).map_err(refused)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(refused)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_BYTES) {
        Ok(text)
    } else {
        Err(wrong(format!("it is larger than {MAX_BYTES} bytes")))
    }
}

fn refused(path: &Path, error: tokensmith_engine::decide::ConfigError) -> ExtAuthzError {
    ExtAuthzError::Config {
        path: path.display().to_string(),
        error,
    }
}

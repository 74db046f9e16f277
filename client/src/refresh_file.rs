use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::answer::RefreshToken;
use crate::{ClientError, Secret};

/// More is no refresh token, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The file of a refresh token, for its owner alone and one process at a time.
#[derive(Debug)]
pub(crate) struct RefreshFile {
    path: PathBuf,
    url: String,
    /// Locked while this lives.
    _lock: File,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contents<'c> {
    /// Whose token it is.
    url: &'c str,
    refresh_token: &'c str,
    /// Unix time in seconds; none where the service does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl RefreshFile {
    /// Locks the file and reads what an earlier process left. Blocks.
    ///
    /// # Errors
    /// [`ClientError::RefreshFile`], also where the file could not be written later, and
    /// [`ClientError::RefreshFileInUse`].
    pub(crate) fn open(
        path: &Path,
        url: &str,
    ) -> Result<(Self, Option<RefreshToken>), ClientError> {
        let wrong = |error: io::Error| refused(path, &error.to_string());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(beside(path, ".lock").map_err(wrong)?)
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ClientError::RefreshFileInUse(path.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let own = Self {
            path: path.to_owned(),
            url: url.to_owned(),
            _lock: lock,
        };
        let token = own.read()?;
        // A bootstrap token is good once: that its refresh token cannot be kept has to show now.
        let draft = beside(path, ".draft").map_err(wrong)?;
        write_draft(&draft, b"")
            .and_then(|()| fs::remove_file(&draft))
            .map_err(wrong)?;
        Ok((own, token))
    }

    /// Keeps a token in the place of the one before. After it returns the file survives a power
    /// cut. Blocks.
    ///
    /// # Errors
    /// [`ClientError::RefreshFile`]; the file is as before.
    pub(crate) fn keep(&self, token: &RefreshToken) -> Result<(), ClientError> {
        let contents = Contents {
            url: &self.url,
            refresh_token: token.text.expose(),
            expires_at: (token.expires != Duration::MAX).then_some(token.expires.as_secs()),
        };
        let written = serde_json::to_vec(&contents)
            .map(Zeroizing::new)
            .map_err(io::Error::from)
            .and_then(|bytes| {
                let draft = beside(&self.path, ".draft")?;
                write_draft(&draft, &bytes)?;
                fs::rename(&draft, &self.path)?;
                File::open(folder_of(&self.path))?.sync_all()
            });
        written.map_err(|error| refused(&self.path, &error.to_string()))
    }

    /// Removes a token that is of no use any more. Blocks.
    ///
    /// # Errors
    /// [`ClientError::RefreshFile`].
    pub(crate) fn forget(&self) -> Result<(), ClientError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(refused(&self.path, &error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn read(&self) -> Result<Option<RefreshToken>, ClientError> {
        let wrong = |message: &str| refused(&self.path, message);
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        if !metadata.is_file() {
            return Err(wrong("it is no file"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(wrong("others than its owner may read it: chmod 600"));
        }
        if metadata.len() > MAX_BYTES {
            return Err(wrong("it is too large for a refresh token"));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(
            usize::try_from(metadata.len()).unwrap_or_default(),
        ));
        File::open(&self.path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|error| wrong(&error.to_string()))?;
        // The parser's message could quote the token.
        let contents: Contents<'_> = serde_json::from_slice(&bytes)
            .map_err(|_| wrong("it holds no refresh token of this client: remove it"))?;
        if contents.url != self.url {
            let message = format!("its token is of `{}`: remove it", contents.url);
            return Err(wrong(&message));
        }
        Ok(Some(RefreshToken {
            text: Secret::new(contents.refresh_token),
            expires: contents
                .expires_at
                .map_or(Duration::MAX, Duration::from_secs),
        }))
    }
}

/// A file of mode 0600 whose bytes survive a power cut.
fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that was left behind; a link in its place is not followed.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A hidden file in the same folder.
fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(ending);
    Ok(path.with_file_name(name))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn refused(path: &Path, message: &str) -> ClientError {
    ClientError::RefreshFile {
        path: path.display().to_string(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("tokensmith-client-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("refresh-token")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn token(text: &str) -> RefreshToken {
        RefreshToken {
            text: Secret::new(text),
            expires: Duration::from_secs(77),
        }
    }

    #[test]
    fn what_is_kept_is_read_by_the_next_and_nobody_else() {
        let folder = Folder::new();
        let (file, none) = RefreshFile::open(&folder.file(), "https://a").unwrap();
        assert!(none.is_none());
        file.keep(&token("first")).unwrap();
        file.keep(&token("second")).unwrap();
        let mode = fs::metadata(folder.file()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = RefreshFile::open(&folder.file(), "https://a").unwrap_err();
        assert_eq!(second.code(), "client_refresh_file_in_use");
        drop(file);
        let (file, found) = RefreshFile::open(&folder.file(), "https://a").unwrap();
        let found = found.unwrap();
        assert_eq!(found.text.expose(), "second");
        assert_eq!(found.expires, Duration::from_secs(77));
        file.forget().unwrap();
        file.forget().unwrap();
        drop(file);
        let (_, none) = RefreshFile::open(&folder.file(), "https://a").unwrap();
        assert!(none.is_none());
    }

    #[test]
    fn files_that_are_not_good_are_refused_and_kept() {
        let good = r#"{"url":"https://a","refresh_token":"s3cret","expires_at":5}"#;
        let cases = [
            ("", 0o600, "remove it"),
            ("s3cret", 0o600, "remove it"),
            (r#"{"url":"https://a"}"#, 0o600, "remove it"),
            (
                r#"{"url":"https://b","refresh_token":"s3cret"}"#,
                0o600,
                "`https://b`",
            ),
            (good, 0o640, "chmod 600"),
            (good, 0o604, "chmod 600"),
        ];
        for (text, mode, message) in cases {
            let folder = Folder::new();
            fs::write(folder.file(), text).unwrap();
            fs::set_permissions(folder.file(), fs::Permissions::from_mode(mode)).unwrap();
            let error = RefreshFile::open(&folder.file(), "https://a").unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
        }
        let folder = Folder::new();
        let missing = folder.0.join("no/such/folder");
        let error = RefreshFile::open(&missing, "https://a").unwrap_err();
        assert_eq!(error.code(), "client_refresh_file");
    }
}

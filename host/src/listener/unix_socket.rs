use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::ListenError;

/// Who listens but has no room for another connection so long is there nevertheless.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Its owner may connect, nobody else.
const MODE: u32 = 0o600;

/// The file of a socket, which goes with its handle.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// A folder that nobody else can look into, and the socket that is made in it.
struct Draft {
    folder: PathBuf,
    socket: PathBuf,
}

/// Listens on a Unix socket of mode 0600.
///
/// The socket is made in a folder of its own and then moved to its place, so that there is no
/// moment at which it is open to others, and none without a socket where an old one was.
pub(super) async fn bind(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |error| ListenError::Failed {
        address: format!("unix:{}", path.display()),
        error,
    };
    refuse_what_is_in_use(path).await?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let draft = Draft::new(folder).map_err(failed)?;
    let listener = UnixListener::bind(&draft.socket).map_err(failed)?;
    fs::set_permissions(&draft.socket, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    let made = fs::symlink_metadata(&draft.socket).map_err(failed)?;
    let around = fs::metadata(folder).map_err(failed)?;
    if !is_safe(&around, made.uid()) {
        return Err(ListenError::UnsafeFolder {
            path: path.display().to_string(),
            mode: around.mode() & 0o7777,
        });
    }
    fs::rename(&draft.socket, path).map_err(failed)?;
    let file = SocketFile {
        path: path.to_owned(),
        device: made.dev(),
        inode: made.ino(),
    };
    Ok((listener, file))
}

/// What is at `path` stays there unless it is a socket that nothing listens on.
async fn refuse_what_is_in_use(path: &Path) -> Result<(), ListenError> {
    let name = || path.display().to_string();
    let failed = |error| ListenError::Failed {
        address: format!("unix:{}", path.display()),
        error,
    };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: name() });
    }
    match timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error))
            if matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        Ok(Err(error)) if error.kind() != ErrorKind::WouldBlock => Err(failed(error)),
        _ => Err(ListenError::InUse { path: name() }),
    }
}

/// Whether nobody but `owner` and root can replace what is in a folder of theirs: others may not
/// write to it, or not touch what is not their own (the sticky bit).
fn is_safe(folder: &fs::Metadata, owner: u32) -> bool {
    let (mode, uid) = (folder.mode(), folder.uid());
    (uid == 0 || uid == owner) && (mode & 0o022 == 0 || mode & 0o1000 != 0)
}

impl Draft {
    fn new(beside: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // A socket's path may have 107 bytes only, so this is short.
        let folder = beside.join(format!(".{}-{count}", std::process::id()));
        let draft = Self {
            socket: folder.join("s"),
            folder,
        };
        // One that a process of the same number left behind.
        draft.remove();
        fs::DirBuilder::new().mode(0o700).create(&draft.folder)?;
        Ok(draft)
    }

    /// What cannot be removed is not there, or does not matter.
    fn remove(&self) {
        drop(fs::remove_file(&self.socket));
        drop(fs::remove_dir(&self.folder));
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have put its own there meanwhile.
        let own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("ts-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_goes() {
        let folder = Folder::new("own", 0o755);
        let path = folder.0.join("x.sock");
        let (listener, file) = bind(&path).await.unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.mode() & 0o777, 0o600);
        assert_eq!(bind(&path).await.unwrap_err().code(), "listen_in_use");
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_gives_way_and_a_file_does_not() {
        let folder = Folder::new("stale", 0o700);
        let path = folder.0.join("x.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (_listener, file) = bind(&path).await.unwrap();
        // What is another's by now is left alone.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "kept").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"kept");
        assert_eq!(bind(&path).await.unwrap_err().code(), "listen_not_a_socket");
    }

    #[tokio::test]
    async fn folders_that_others_may_write_to_are_refused() {
        let folder = Folder::new("open", 0o777);
        let error = bind(&folder.0.join("x.sock")).await.unwrap_err();
        assert_eq!(error.code(), "listen_unsafe_folder");
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
        let missing = bind(&folder.0.join("missing/x.sock")).await.unwrap_err();
        assert_eq!(missing.code(), "listen_failed");
    }
}

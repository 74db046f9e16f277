use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::line::{Head, Line, MAX_LINE};
use super::{AuditError, AuditRecord};
use crate::private_file;

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(3);

/// An audit log that lines are appended to. Several processes may have one open: they take turns,
/// and each goes on behind the other's last line.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: Mutex<Appending>,
}

#[derive(Debug)]
struct Appending {
    file: File,
    /// Length of the file behind `head`.
    length: u64,
    head: Head,
    /// The disk did not take what was written. The system may take it for written all the same,
    /// so the file is opened anew before it gets another line.
    failed: bool,
    /// What was left to [`AuditLog::sync`] may not be on the disk, which that has to say.
    lost: bool,
}

impl AuditLog {
    /// Opens a log, or begins one that only its owner can read, and finds its last line.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(Appending::open(path)?),
        })
    }

    /// Appends a line. With `durable` it survives a power cut when this returns.
    ///
    /// # Errors
    /// [`AuditError`]; then the log is as before.
    pub fn append(&self, record: &AuditRecord<'_>, durable: bool) -> Result<(), AuditError> {
        blocking(|| self.locked().append(&self.path, record, durable))
    }
}

impl AuditLog {
    /// Ends when all lines appended before survive a power cut.
    ///
    /// # Errors
    /// [`AuditError`]; also where the disk failed since the last call, and may have lost some of
    /// them.
    pub fn sync(&self) -> Result<(), AuditError> {
        let file = {
            let mut appending = self.locked();
            if appending.failed || appending.lost {
                appending.lost = false;
                let error = std::io::Error::other("the disk did not take earlier lines");
                return Err(io(&self.path)(error));
            }
            // Others may append while the disk is waited for.
            appending.file.try_clone()
        };
        let synced = file.and_then(|file| file.sync_data());
        if synced.is_err() {
            self.locked().fail();
        }
        synced.map_err(io(&self.path))
    }

    fn locked(&self) -> MutexGuard<'_, Appending> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Appending {
    fn open(path: &Path) -> Result<Self, AuditError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(io(path))?;
        if file.metadata().map_err(io(path))?.len() == 0 {
            private_file::give_to_folder_owner(&file, path).map_err(io(path))?;
        }
        lock(&file).map_err(io(path))?;
        let resumed = resume(path, &file);
        file.unlock().map_err(io(path))?;
        let (length, head) = resumed?;
        Ok(Self {
            file,
            length,
            head,
            failed: false,
            lost: false,
        })
    }

    /// Notes that the disk did not take what was written.
    fn fail(&mut self) {
        self.failed = true;
        self.lost = true;
    }

    fn append(
        &mut self,
        path: &Path,
        record: &AuditRecord<'_>,
        durable: bool,
    ) -> Result<(), AuditError> {
        if self.failed {
            let lost = self.lost;
            *self = Self::open(path)?;
            self.lost = lost;
        }
        lock(&self.file).map_err(io(path))?;
        let appended = self.append_locked(path, record, durable);
        let unlocked = self.file.unlock().map_err(io(path));
        appended.and(unlocked)
    }

    fn append_locked(
        &mut self,
        path: &Path,
        record: &AuditRecord<'_>,
        durable: bool,
    ) -> Result<(), AuditError> {
        let length = self.file.metadata().map_err(io(path))?.len();
        if length != self.length {
            // Another process was here.
            (self.length, self.head) = resume(path, &self.file)?;
        }
        let line = Line::behind(&self.head, record);
        let mut text = serde_json::to_vec(&line).map_err(|error| io(path)(error.into()))?;
        let head = Head::behind(line.seq, &text);
        text.push(b'\n');
        if text.len() as u64 > MAX_LINE {
            let error = std::io::Error::other("the line is longer than 16 KiB");
            return Err(io(path)(error));
        }
        let mut written = self.file.write_all(&text);
        if durable && written.is_ok() {
            written = self.file.sync_data();
            if written.is_err() {
                self.fail();
            }
        }
        if let Err(error) = written {
            // Half a line would keep all later ones out. Where it cannot be taken back, the next
            // attempt finds it.
            drop(self.file.set_len(self.length));
            return Err(io(path)(error));
        }
        self.length = self.length.saturating_add(text.len() as u64);
        self.head = head;
        Ok(())
    }
}

/// The length of a log, and where its chain ends.
fn resume(path: &Path, file: &File) -> Result<(u64, Head), AuditError> {
    let length = file.metadata().map_err(io(path))?.len();
    if length == 0 {
        return Ok((0, Head::start()));
    }
    // The last line with its end, and the end of the line before.
    let start = length.saturating_sub(MAX_LINE.saturating_add(1));
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or(0)];
    file.read_exact_at(&mut tail, start).map_err(io(path))?;
    let name = || path.display().to_string();
    let Some(lines) = tail.strip_suffix(b"\n") else {
        let cut = tail.iter().rev().take_while(|byte| **byte != b'\n').count();
        return Err(AuditError::Cut {
            path: name(),
            at: length.saturating_sub(cut as u64),
        });
    };
    let last = lines
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line: Line = serde_json::from_slice(last).map_err(|error| AuditError::LastLine {
        path: name(),
        reason: error.to_string(),
    })?;
    Ok((length, Head::behind(line.seq, last)))
}

/// Waits for other processes that write, but not for one that never ends to.
fn lock(file: &File) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(std::io::Error::other("another process holds it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Lets the runtime's other tasks go on elsewhere while the file is waited for.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> AuditError {
    let path = path.display().to_string();
    move |error| AuditError::Io {
        path: path.clone(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::BufReader;

    use super::*;
    use crate::audit::{AuditEvent, AuditOutcome, verify};

    const RECORD: AuditRecord<'_> = AuditRecord {
        event: AuditEvent::Issue,
        outcome: AuditOutcome::Done,
        code: "ok",
        subject: "s",
        client: "local",
        request_id: "r",
        jti: None,
        kid: None,
        about: None,
    };

    /// A file that takes lines and cannot be synchronized.
    fn break_disk(log: &AuditLog) {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let mut appending = log.locked();
        appending.file = null.unwrap();
        appending.length = 0;
    }

    fn lines(path: &Path) -> u64 {
        let file = BufReader::new(File::open(path).unwrap());
        verify(file, None).unwrap().lines
    }

    #[test]
    fn after_a_failed_sync_the_file_is_opened_anew() {
        let folder = std::env::temp_dir().join(format!("ts-audit-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let log = AuditLog::open(&path).unwrap();
        log.append(&RECORD, true).unwrap();
        log.append(&RECORD, false).unwrap();

        break_disk(&log);
        assert!(log.sync().is_err());
        assert!(log.sync().is_err(), "nothing was written anew");
        let moved = folder.join("moved");
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(log.append(&RECORD, false).is_err(), "it cannot be opened");
        fs::remove_dir(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
        log.append(&RECORD, false).unwrap();
        log.sync().unwrap();
        assert_eq!(lines(&path), 3);

        // Another's line that reaches the disk says nothing of those before.
        log.append(&RECORD, false).unwrap();
        break_disk(&log);
        assert!(log.append(&RECORD, true).is_err());
        log.append(&RECORD, true).unwrap();
        assert!(log.sync().is_err());
        log.sync().unwrap();
        assert_eq!(lines(&path), 5);
        fs::remove_dir_all(&folder).unwrap();
    }
}

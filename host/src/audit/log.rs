use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
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
}

impl AuditLog {
    /// Opens a log, or begins one that only its owner can read, and finds its last line.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(path: &Path) -> Result<Self, AuditError> {
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
            path: path.to_owned(),
            file: Mutex::new(Appending { file, length, head }),
        })
    }

    /// Appends a line. With `durable` it survives a power cut when this returns.
    ///
    /// # Errors
    /// [`AuditError`]; then the log is as before.
    pub fn append(&self, record: &AuditRecord<'_>, durable: bool) -> Result<(), AuditError> {
        blocking(|| {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.append(&self.path, record, durable)
        })
    }
}

impl AuditLog {
    /// Ends when all lines appended before survive a power cut.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn sync(&self) -> Result<(), AuditError> {
        let file = {
            let appending = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            // Others may append while the disk is waited for.
            appending.file.try_clone()
        };
        file.and_then(|file| file.sync_data())
            .map_err(io(&self.path))
    }
}

impl Appending {
    fn append(
        &mut self,
        path: &Path,
        record: &AuditRecord<'_>,
        durable: bool,
    ) -> Result<(), AuditError> {
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

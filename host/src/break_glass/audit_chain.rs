use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::BreakGlassError;
use crate::private_file;

/// `prev` of the first record: there is no line before it.
pub const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// No record is longer.
const LONGEST_LINE: u64 = 64 * 1024;
/// How long to wait for another process that writes a record.
const PATIENCE: Duration = Duration::from_secs(10);

/// An audit log of JSON lines, each with the SHA-256 digest of the line before it as `prev`, so
/// that a line which is changed or taken out shows, unless all after it are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditChain {
    path: PathBuf,
}

impl AuditChain {
    /// The log at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record. After it returns the record survives a power cut.
    ///
    /// # Errors
    /// [`BreakGlassError::Audit`].
    pub fn append(&self, record: Map<String, Value>) -> Result<(), BreakGlassError> {
        self.write(record)
            .map_err(BreakGlassError::audit(&self.path))
    }

    /// Whether a record could be added. Leaves nothing behind.
    ///
    /// # Errors
    /// [`BreakGlassError::Audit`].
    pub fn probe(&self) -> Result<(), BreakGlassError> {
        let new = !self.path.exists();
        let opened = open(&self.path).and_then(|file| lock(&file));
        if new && opened.is_ok() {
            drop(std::fs::remove_file(&self.path));
        }
        opened.map_err(BreakGlassError::audit(&self.path))
    }

    /// Checks every line against the one before it, and counts them. A log that is not there has
    /// none.
    ///
    /// # Errors
    /// [`BreakGlassError::Chain`] with the first line that does not follow, or
    /// [`BreakGlassError::Audit`].
    pub fn verify(&self) -> Result<usize, BreakGlassError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(BreakGlassError::audit(&self.path)(error)),
        };
        let mut previous = FIRST.to_owned();
        let mut count = 0;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(BreakGlassError::audit(&self.path))?;
            count += 1;
            let record: Option<Value> = serde_json::from_slice(&line).ok();
            let prev = record.as_ref().and_then(|record| record.get("prev"));
            if prev.and_then(Value::as_str) != Some(previous.as_str()) {
                return Err(BreakGlassError::Chain {
                    path: self.path.display().to_string(),
                    line: count,
                });
            }
            previous = hex(&line);
        }
        Ok(count)
    }

    fn write(&self, mut record: Map<String, Value>) -> io::Result<()> {
        let mut file = open(&self.path)?;
        lock(&file)?;
        let (last, torn) = last_line(&mut file)?;
        let prev = last.map_or_else(|| FIRST.to_owned(), |line| hex(&line));
        record.insert("prev".to_owned(), prev.into());
        // What a power cut left of a line stays, as a line of its own that the next one is bound
        // to: in an emergency it must not keep anyone from writing.
        let mut text = String::from(if torn { "\n" } else { "" });
        text.push_str(&Value::Object(record).to_string());
        text.push('\n');
        if text.len() as u64 >= LONGEST_LINE {
            return Err(io::Error::other("the record is too long"));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        private_file::sync_folder_of(&self.path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Held until the file is dropped.
fn lock(file: &File) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The last line without its end, and whether that end is missing.
fn last_line(file: &mut File) -> io::Result<(Option<Vec<u8>>, bool)> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
    let mut tail = Vec::new();
    file.take(LONGEST_LINE).read_to_end(&mut tail)?;
    let torn = tail.last().is_some_and(|byte| *byte != b'\n');
    if !torn {
        tail.pop();
    }
    let last = tail.rsplit(|byte| *byte == b'\n').next();
    let last = last.filter(|_| length > 0).map(<[u8]>::to_vec);
    Ok((last, torn))
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(name: &str) -> AuditChain {
        let name = format!("tokensmith-audit-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_file(&path));
        AuditChain::new(path)
    }

    fn record(number: u32) -> Map<String, Value> {
        json!({"n": number}).as_object().unwrap().clone()
    }

    #[test]
    fn each_line_holds_the_one_before_it() {
        let chain = chain("links");
        chain.probe().unwrap();
        assert!(!chain.path().exists(), "a look leaves nothing behind");
        assert_eq!(chain.verify().unwrap(), 0);
        for number in 0..3 {
            chain.append(record(number)).unwrap();
        }
        assert_eq!(chain.verify().unwrap(), 3);
        let text = std::fs::read_to_string(chain.path()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["prev"], FIRST);
        assert_eq!(
            lines[1]["prev"],
            hex(text.lines().next().unwrap().as_bytes())
        );
        for (changed, line) in [
            (text.replace("\"n\":0", "\"n\":7"), 2),
            (
                text.lines()
                    .skip(1)
                    .map(|line| format!("{line}\n"))
                    .collect(),
                1,
            ),
        ] {
            std::fs::write(chain.path(), changed).unwrap();
            let found = match chain.verify() {
                Err(BreakGlassError::Chain { line, .. }) => line,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, line);
        }
        std::fs::remove_file(chain.path()).unwrap();
    }

    #[test]
    fn a_torn_line_keeps_nobody_from_writing_and_shows() {
        let chain = chain("torn");
        chain.append(record(0)).unwrap();
        let whole = std::fs::read_to_string(chain.path()).unwrap();
        std::fs::write(chain.path(), format!("{whole}{{\"n\":1,\"pr")).unwrap();
        chain.append(record(2)).unwrap();
        let text = std::fs::read_to_string(chain.path()).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["prev"], hex(b"{\"n\":1,\"pr"));
        assert!(matches!(
            chain.verify(),
            Err(BreakGlassError::Chain { line: 2, .. })
        ));
        std::fs::remove_file(chain.path()).unwrap();
    }

    #[test]
    fn what_is_written_at_once_is_one_chain() {
        let chain = chain("threads");
        std::thread::scope(|scope| {
            for number in 0..16 {
                let chain = &chain;
                scope.spawn(move || chain.append(record(number)).unwrap());
            }
        });
        assert_eq!(chain.verify().unwrap(), 16);
        std::fs::remove_file(chain.path()).unwrap();
    }
}

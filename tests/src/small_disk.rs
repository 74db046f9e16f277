//! A filesystem that can be filled. It is mounted where only one test sees it, and ends with it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;
use crate::service::run;

/// In the environment of the run that has the mount: the folder.
const FOLDER: &str = "TOKENSMITH_TEST_SMALL_DISK";
/// How the tests get what they need here.
const HOW: &str = "the test needs to mount a tmpfs: run it as root (in a container with \
                   `--cap-add SYS_ADMIN`), or on a kernel that lets users make namespaces \
                   (`sysctl -w kernel.unprivileged_userns_clone=1`)";

/// A small filesystem, and what fills it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Runs the calling test, `test` by its name, a second time in a mount namespace of its own,
    /// and there answers with an empty filesystem of so many KiB. In the first run the answer is
    /// `None`: its test has nothing more to do.
    ///
    /// # Panics
    /// When the second run fails, and with what is needed when it cannot be.
    pub fn mount(test: &str, kibibytes: u32) -> Option<Self> {
        let Some(folder) = std::env::var_os(FOLDER) else {
            again_in_own_namespace(test);
            return None;
        };
        let folder = PathBuf::from(folder);
        let mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kibibytes}k"), "tmpfs"])
            .arg(&folder));
        assert!(mounted.status.success(), "{HOW}: {mounted:?}");
        Some(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Leaves no room.
    ///
    /// # Panics
    /// When writing ends for another reason.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for size in [65_536, 4_096, 1] {
            let bytes = vec![b'x'; size];
            loop {
                match filler.write_all(&bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => panic!("cannot fill `{}`: {error}", self.folder.display()),
                }
            }
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

fn again_in_own_namespace(test: &str) {
    let scratch = Scratch::new();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if run(Command::new("id").arg("-u")).stdout.trim_ascii() != b"0" {
        command.arg("--map-root-user");
    }
    let second = run(command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, scratch.path()));
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&second.stdout),
        String::from_utf8_lossy(&second.stderr)
    );
    assert!(second.status.success(), "{test}: {told}\n({HOW})");
    assert!(told.contains("1 passed"), "no test `{test}`: {told}");
}

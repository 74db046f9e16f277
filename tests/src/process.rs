//! Programs that the tests run beside themselves; each ends with its handle.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The first line it printed.
    pub first_line: String,
}

impl Process {
    /// Starts a program and waits for its first line.
    ///
    /// # Errors
    /// What it wrote to standard error when it ended without a line, or printed none in 30 s.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = sender.send(line);
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        });
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let mut bytes = [0; 4096];
            // The pipe has to be emptied or the program would stop at a full one.
            while let Ok(count @ 1..) = errors.read(&mut bytes) {
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            let _ = sender.send(text);
        });
        let line = lines.recv_timeout(Duration::from_secs(30));
        match line {
            Ok(line) if !line.is_empty() => Ok(Self {
                child,
                first_line: line.trim().to_owned(),
            }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(log.recv().unwrap_or_default())
            }
        }
    }
}

impl Process {
    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal("-KILL");
    }

    /// Sends SIGSTOP: it does nothing more, and its connections stay.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Sends SIGCONT after [`Process::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: the exit code, none if it was killed.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub fn ended(&mut self, within: Duration) -> Option<i32> {
        let began = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < within, "still running");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "{sent}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use tokio::runtime::Runtime;

use super::filled_store::{has_ended, open_to_read, runtime};

const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at a process and its store each second.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    watching: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When, and how much memory the process had: VmRSS in kB.
    memory: Vec<(Duration, u64)>,
    /// When nothing was in the store any more that ended long ago.
    pub(super) purged: Option<Duration>,
}

/// The store, until what ended long ago is gone.
struct Store {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Watch {
    /// Begins.
    pub(super) fn start(process: u32, store: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, store) = (Arc::clone(&stop), store.to_owned());
        let watching = std::thread::spawn(move || watch(process, &store, &stopped));
        Self { stop, watching }
    }

    /// Looks once more and ends.
    pub(super) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

impl Seen {
    /// kB.
    pub(super) fn least(&self) -> u64 {
        let memory = self.memory.iter().map(|(_, memory)| *memory);
        memory.min().unwrap_or(0)
    }

    /// kB.
    pub(super) fn most(&self) -> u64 {
        let memory = self.memory.iter().map(|(_, memory)| *memory);
        memory.max().unwrap_or(0)
    }

    /// How memory grew in the second half, kB in a minute: the slope of the line of least squares.
    pub(super) fn growth(&self) -> f64 {
        let half = &self.memory[self.memory.len() / 2..];
        let points: Vec<(f64, f64)> = half
            .iter()
            .map(|(at, memory)| (at.as_secs_f64() / 60.0, *memory as f64))
            .collect();
        slope(&points)
    }
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let along: f64 = points.iter().map(|(px, py)| (px - x) * (py - y)).sum();
    let spread: f64 = points.iter().map(|(px, _)| (px - x).powi(2)).sum();
    if spread > 0.0 { along / spread } else { 0.0 }
}

fn watch(process: u32, store: &Path, stop: &AtomicBool) -> Seen {
    let status = PathBuf::from(format!("/proc/{process}/status"));
    let start = Instant::now();
    let mut seen = Seen::default();
    let mut store = Some(Store::open(store));
    loop {
        let last = stop.load(Ordering::Relaxed);
        if let Some(memory) = resident(&status) {
            seen.memory.push((start.elapsed(), memory));
        }
        if let Some(mut open) = store.take() {
            if open.has_ended() {
                store = Some(open);
            } else {
                seen.purged = Some(start.elapsed());
                open.close();
            }
        }
        if last {
            return seen;
        }
        std::thread::sleep(INTERVAL);
    }
}

impl Store {
    fn open(path: &Path) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(open_to_read(path));
        Self {
            runtime,
            connection,
        }
    }

    fn has_ended(&mut self) -> bool {
        self.runtime.block_on(has_ended(&mut self.connection))
    }

    fn close(self) {
        self.runtime.block_on(self.connection.close()).unwrap();
    }
}

/// VmRSS in kB; nothing when the process has ended.
fn resident(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes() {
        for (points, expected) in [
            (vec![], 0.0),
            (vec![(1.0, 5.0)], 0.0),
            (vec![(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)], 2.0),
            (vec![(0.0, 7.0), (1.0, 7.0), (3.0, 7.0)], 0.0),
        ] {
            assert!((slope(&points) - expected).abs() < 1e-9, "{points:?}");
        }
    }

    #[test]
    fn growth_is_of_the_second_half() {
        let memory = (0..120u32).map(|second| {
            let grown = u64::from(second.max(60) - 60) * 2;
            (Duration::from_secs(second.into()), 1000 + grown)
        });
        let seen = Seen {
            memory: memory.collect(),
            purged: None,
        };
        assert!((seen.growth() - 120.0).abs() < 1e-6, "{}", seen.growth());
        assert_eq!((seen.least(), seen.most()), (1000, 1118));
    }
}

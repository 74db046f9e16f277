use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::latency::Latency;
use crate::processor::{LOAD, on};
use crate::requests::Requests;

/// The runtime's timers are this coarse; what is left of a wait is spent looking at the clock.
const COARSE: Duration = Duration::from_millis(2);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each connection sends the next when it has the answer.
    Closed,
    /// At a fixed rate over all connections, whether answers came or not. Times are taken from
    /// when a request was to be sent, so that a stall counts for all that waited behind it.
    Open {
        /// Requests in a second.
        per_second: f64,
    },
}

/// What a run brought.
pub(crate) struct Outcome {
    pub(crate) samples: Vec<Sample>,
    /// From the start to the last answer.
    elapsed: Duration,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When its request was to be sent, from the start.
    pub(crate) at: Duration,
    /// Until it was there.
    pub(crate) took: Duration,
}

/// The times at which one connection sends.
#[derive(Clone, Copy)]
struct Schedule {
    first: Duration,
    every: Duration,
}

/// Puts load on a port of this machine until `duration` is over or no requests are left.
///
/// # Errors
/// The first answer that is not a good one: a service that refuses would be fast.
pub(crate) fn run(
    port: u16,
    connections: Vec<Box<dyn Requests>>,
    pace: Pace,
    duration: Duration,
) -> Result<Outcome, String> {
    on(LOAD, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(all(port, connections, pace, duration))
    })
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.samples.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn latency(&self) -> Latency {
        Self::latency_of(&self.samples)
    }

    pub(crate) fn latency_of<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Latency {
        let nanoseconds = |sample: &Sample| u64::try_from(sample.took.as_nanos()).unwrap();
        Latency::of(samples.into_iter().map(nanoseconds))
    }
}

async fn all(
    port: u16,
    connections: Vec<Box<dyn Requests>>,
    pace: Pace,
    duration: Duration,
) -> Result<Outcome, String> {
    let count = connections.len() as f64;
    let mut open = Vec::new();
    for requests in connections {
        let connection = Connection::open(port)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        open.push((connection, requests));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let mut running = Vec::new();
    for (number, (connection, requests)) in open.into_iter().enumerate() {
        let schedule = match pace {
            Pace::Closed => None,
            Pace::Open { per_second } => Some(Schedule {
                first: Duration::from_secs_f64(number as f64 / per_second),
                every: Duration::from_secs_f64(count / per_second),
            }),
        };
        let stop = Arc::clone(&stop);
        running.push(tokio::spawn(async move {
            let done = one(connection, requests, schedule, start, duration, &stop).await;
            if done.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            done
        }));
    }
    let mut samples = Vec::new();
    let mut failed = None;
    for task in running {
        match task.await.unwrap() {
            Ok(own) => samples.extend(own),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let last = samples.iter().map(|sample| sample.at + sample.took).max();
    Ok(Outcome {
        samples,
        elapsed: last.ok_or("no request was answered")?,
    })
}

async fn one(
    mut connection: Connection,
    mut requests: Box<dyn Requests>,
    schedule: Option<Schedule>,
    start: Instant,
    duration: Duration,
    stop: &AtomicBool,
) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut request = Vec::new();
    for number in 0u32.. {
        let intended = schedule.map(|schedule| start + schedule.first + schedule.every * number);
        let over = intended.unwrap_or_else(Instant::now) >= start + duration;
        if over || stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(intended) = intended {
            wait_until(intended).await;
        }
        request.clear();
        if !requests.write_next(&mut request) {
            break;
        }
        let from = intended.unwrap_or_else(Instant::now);
        let answer = connection
            .send(&request)
            .await
            .map_err(|error| format!("no answer: {error}"))?;
        let took = from.elapsed();
        requests.hear(answer.status, answer.body)?;
        samples.push(Sample {
            at: from.duration_since(start),
            took,
        });
    }
    Ok(samples)
}

async fn wait_until(instant: Instant) {
    loop {
        let left = instant.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > COARSE {
            tokio::time::sleep(left - COARSE).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(40);

/// One way of doing the work. The closure does it once and has to notice when it goes wrong.
pub struct Contestant<'c> {
    /// Its name in the report.
    pub name: &'static str,
    work: Box<dyn FnMut() + 'c>,
}

/// What was measured of one contestant.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The contestant.
    pub name: &'static str,
    /// Nanoseconds for each time the work is done: the median of the rounds.
    pub median_ns: f64,
    /// The best round's.
    pub best_ns: f64,
    /// Heap allocations for each time the work is done.
    pub allocations: f64,
}

impl<'c> Contestant<'c> {
    /// A contestant.
    pub fn new(name: &'static str, work: impl FnMut() + 'c) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }

    fn time(&mut self, times: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..times {
            (self.work)();
        }
        start.elapsed()
    }

    /// How often the work fits into a round.
    fn calibrate(&mut self) -> u32 {
        let mut times = 1;
        loop {
            let taken = self.time(times);
            if taken >= ROUND / 4 {
                let fitting = f64::from(times) * ROUND.as_secs_f64() / taken.as_secs_f64();
                return (fitting as u32).max(1);
            }
            times = times.saturating_mul(2);
        }
    }
}

/// Lets the contestants take turns.
pub fn take_turns(mut contestants: Vec<Contestant<'_>>) -> Vec<Measured> {
    let times: Vec<u32> = contestants.iter_mut().map(Contestant::calibrate).collect();
    let mut rounds = vec![Vec::new(); contestants.len()];
    for _ in 0..ROUNDS {
        for (index, contestant) in contestants.iter_mut().enumerate() {
            let taken = contestant.time(times[index]);
            rounds[index].push(taken.as_secs_f64() * 1e9 / f64::from(times[index]));
        }
    }
    contestants
        .iter_mut()
        .zip(rounds)
        .map(|(contestant, mut rounds)| {
            rounds.sort_by(f64::total_cmp);
            const COUNTED: u32 = 100;
            let info = allocation_counter::measure(|| {
                for _ in 0..COUNTED {
                    (contestant.work)();
                }
            });
            Measured {
                name: contestant.name,
                median_ns: rounds[rounds.len() / 2],
                best_ns: rounds[0],
                allocations: info.count_total as f64 / f64::from(COUNTED),
            }
        })
        .collect()
}

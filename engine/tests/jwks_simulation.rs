//! The JWK set source in thousands of seeded schedules: rotations, outages, slow and lost answers,
//! forged `kid`s and clock jumps. The shell is this test; the invariants hold in every schedule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{HashMap, HashSet};

use tokensmith_engine::jose::{Limits, encode_base64url};
use tokensmith_engine::keys::{Answer, JwksSource, RefreshPolicy};

const SCHEDULES: u64 = 3000;
const STEPS: usize = 400;

/// SplitMix64: the same schedules wherever this runs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.unsigned_abs()) as i64
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// The publisher and the network.
struct World {
    random: Random,
    /// Runs on, whatever the machine's clock shows.
    time: i64,
    /// What the machine's clock is ahead of `time`.
    skew: i64,
    published: Vec<String>,
    ever: HashSet<String>,
    /// When each withdrawn key was withdrawn.
    withdrawn: HashMap<String, i64>,
    keys: usize,
    up: bool,
    under_way: Vec<Flight>,
}

/// An answer under way.
struct Flight {
    id: u64,
    arrival: i64,
    /// None is an answer that is lost, or a server that is down.
    body: Option<Vec<u8>>,
    made: i64,
}

impl World {
    fn now(&self) -> i64 {
        self.time + self.skew
    }

    fn rotate(&mut self) {
        let kid = format!("key-{}", self.keys);
        self.keys += 1;
        self.ever.insert(kid.clone());
        self.published.push(kid);
        if self.published.len() > 2 {
            let kid = self.published.remove(0);
            self.withdrawn.insert(kid, self.time);
        }
    }

    fn body(&self) -> Vec<u8> {
        let keys: Vec<String> = self
            .published
            .iter()
            .map(|kid| {
                let x = encode_base64url([7; 32]);
                format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}"#)
            })
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()
    }

    fn send(&mut self, id: u64) {
        let slow = if self.random.chance(20) {
            self.random.below(300)
        } else {
            self.random.below(3)
        };
        let body = (self.up && self.random.chance(95)).then(|| self.body());
        self.under_way.push(Flight {
            id,
            arrival: self.time + slow,
            body,
            made: self.time,
        });
    }

    /// An answer that has arrived, in no order.
    fn arrived(&mut self) -> Option<Flight> {
        let time = self.time;
        let index = self
            .under_way
            .iter()
            .position(|flight| flight.arrival <= time)?;
        Some(self.under_way.swap_remove(index))
    }
}

#[test]
fn invariants_hold_in_every_schedule() {
    for seed in 0..SCHEDULES {
        schedule(seed);
    }
}

fn schedule(seed: u64) {
    let policy = RefreshPolicy::default();
    let limits = Limits::default();
    let mut source = JwksSource::new("u", policy);
    let mut world = World {
        random: Random(seed),
        time: 1_000_000,
        skew: 0,
        published: Vec::new(),
        ever: HashSet::new(),
        withdrawn: HashMap::new(),
        keys: 0,
        up: true,
        under_way: Vec::new(),
    };
    world.rotate();
    let jumps = seed.is_multiple_of(3);
    let mut fetches: Vec<i64> = Vec::new();
    // When the answer that is held was made by the publisher.
    let mut held_since = None;
    for _ in 0..STEPS {
        world.time += match world.random.below(4) {
            0 => 1,
            1 => world.random.below(20),
            2 => world.random.below(120),
            _ => world.random.below(900),
        };
        if world.random.chance(6) {
            world.rotate();
        }
        if world.random.chance(5) {
            world.up = !world.up;
        }
        if jumps && world.random.chance(2) {
            world.skew = world.random.below(20_000) - 10_000;
        }
        let now = world.now();
        while let Some(Flight { id, body, made, .. }) = world.arrived() {
            if let Some(body) = body {
                let answer = Answer {
                    status: 200,
                    body: &body,
                    ..Answer::default()
                };
                if source.fetched(id, &answer, &limits).is_ok() {
                    held_since = Some(made);
                }
            } else if world.random.chance(50) {
                source.failed(id);
            } // else: nobody tells, the source has to find out by its own timeout
        }
        // The attacker asks for keys that are not there as often as it likes.
        let mut fetch = source.poll(now);
        for _ in 0..world.random.below(5) {
            let forged = source.unknown_kid(now);
            assert!(
                fetch.is_none() || forged.is_none(),
                "seed {seed}: two at once"
            );
            fetch = fetch.or(forged);
        }
        if let Some(fetch) = fetch {
            fetches.push(world.time);
            world.send(fetch.id);
        }
        check_keys(seed, &source, &world, held_since, jumps);
    }
    if !jumps {
        check_fetches(seed, &fetches, &policy);
    }
    check_recovery(seed, &mut source, &mut world, &limits);
}

/// Only keys that were published, none that was withdrawn before the held answer was made, none
/// past the hard expiry.
fn check_keys(seed: u64, source: &JwksSource, world: &World, held_since: Option<i64>, jumps: bool) {
    let Some(set) = source.keys(world.now()) else {
        return;
    };
    let made = held_since.unwrap_or_else(|| panic!("seed {seed}: keys from nowhere"));
    for key in &set.keys {
        let kid = key.kid().unwrap();
        assert!(
            world.ever.contains(kid),
            "seed {seed}: `{kid}` was never published"
        );
        if let Some(withdrawn) = world.withdrawn.get(kid) {
            assert!(
                *withdrawn >= made,
                "seed {seed}: `{kid}` was withdrawn before"
            );
            // 30 s is the slowest answer of this network.
            let used = world.time - withdrawn;
            assert!(
                jumps || used < 3600 + 30,
                "seed {seed}: `{kid}` used {used} s after"
            );
        }
    }
}

/// However often keys were asked for: two fetches are a cool-down apart.
fn check_fetches(seed: u64, fetches: &[i64], policy: &RefreshPolicy) {
    for pair in fetches.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(
            apart >= policy.cooldown,
            "seed {seed}: fetches {apart} s apart"
        );
    }
}

/// Once the publisher is up and the clock runs, a new key is there with the next fetch.
fn check_recovery(seed: u64, source: &mut JwksSource, world: &mut World, limits: &Limits) {
    world.rotate();
    let wanted = world.published.last().unwrap().clone();
    for _ in 0..=RefreshPolicy::default().fresh {
        world.time += 1;
        let now = world.now();
        if let Some(fetch) = source.unknown_kid(now) {
            let body = world.body();
            let answer = Answer {
                status: 200,
                body: &body,
                ..Answer::default()
            };
            let set = source.fetched(fetch.id, &answer, limits).unwrap();
            assert!(
                set.keys
                    .iter()
                    .any(|key| key.kid() == Some(wanted.as_str()))
            );
            return;
        }
    }
    panic!("seed {seed}: no fetch for a new key");
}

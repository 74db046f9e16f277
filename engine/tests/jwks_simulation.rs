//! The keys of one to three issuers in thousands of seeded schedules: rotations, outages, slow and
//! lost answers, forged `kid`s and clock jumps. The shell is this test; the invariants hold in
//! every schedule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashMap;

use tokensmith_engine::jose::{Limits, encode_base64url};
use tokensmith_engine::keys::{Answer, Fetch, IssuerSource, KeySources, Origin, RefreshPolicy};
use tokensmith_engine::verify::External;

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

/// The network and the machine's clock.
struct World {
    random: Random,
    /// Runs on, whatever the machine's clock shows.
    time: i64,
    /// What the machine's clock is ahead of `time`.
    skew: i64,
    publishers: Vec<Publisher>,
    under_way: Vec<Flight>,
}

/// One issuer.
#[derive(Default)]
struct Publisher {
    published: Vec<String>,
    /// Every key it ever published, and when it was withdrawn.
    ever: HashMap<String, Option<i64>>,
    down: bool,
    fetches: Vec<i64>,
    /// When the answer that is held was made.
    held_since: Option<i64>,
}

/// An answer under way.
struct Flight {
    id: u64,
    publisher: usize,
    arrival: i64,
    /// None is an answer that is lost, or a server that is down.
    body: Option<Vec<u8>>,
    made: i64,
}

impl Publisher {
    fn rotate(&mut self, time: i64) {
        // Issuers use the same names for different keys: names must not meet.
        let kid = format!("key-{}", self.ever.len());
        self.ever.insert(kid.clone(), None);
        self.published.push(kid);
        if self.published.len() > 2 {
            let kid = self.published.remove(0);
            self.ever.insert(kid, Some(time));
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
}

impl World {
    fn now(&self) -> i64 {
        self.time + self.skew
    }

    fn send(&mut self, fetch: &Fetch) {
        let publisher: usize = fetch.url.parse().unwrap();
        let slow = if self.random.chance(20) {
            self.random.below(300)
        } else {
            self.random.below(3)
        };
        let arrives = self.random.chance(95);
        let own = &mut self.publishers[publisher];
        own.fetches.push(self.time);
        let body = (!own.down && arrives).then(|| own.body());
        self.under_way.push(Flight {
            id: fetch.id,
            publisher,
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

    /// Time passes; keys rotate, servers go down and come back, the clock jumps.
    fn pass(&mut self, jumps: bool) {
        self.time += match self.random.below(4) {
            0 => 1,
            1 => self.random.below(20),
            2 => self.random.below(120),
            _ => self.random.below(900),
        };
        for publisher in &mut self.publishers {
            if self.random.chance(6) {
                publisher.rotate(self.time);
            }
            if self.random.chance(5) {
                publisher.down = !publisher.down;
            }
        }
        if jumps && self.random.chance(2) {
            self.skew = self.random.below(20_000) - 10_000;
        }
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
    let issuers = 1 + (seed % 3) as usize;
    let mut keys = KeySources::new(
        (0..issuers).map(|number| IssuerSource {
            issuer: name(number),
            origin: Origin::Remote {
                url: number.to_string(),
                policy,
            },
        }),
        &External,
        seed,
    );
    let mut world = World {
        random: Random(seed),
        time: 1_000_000,
        skew: 0,
        publishers: (0..issuers).map(|_| Publisher::default()).collect(),
        under_way: Vec::new(),
    };
    for publisher in &mut world.publishers {
        publisher.rotate(world.time);
    }
    let jumps = seed.is_multiple_of(4);
    for step in 0..STEPS {
        world.pass(jumps);
        take_answers(&mut keys, &mut world);
        ask(seed, step, &mut keys, &mut world);
        check_keys(seed, &mut keys, &world, jumps);
    }
    if !jumps {
        check_fetches(seed, &world, &policy);
    }
    check_recovery(seed, &mut keys, &mut world);
}

fn name(number: usize) -> String {
    format!("issuer-{number}")
}

fn take_answers(keys: &mut KeySources, world: &mut World) {
    while let Some(flight) = world.arrived() {
        if let Some(body) = flight.body {
            let answer = Answer {
                status: 200,
                body: &body,
                ..Answer::default()
            };
            if let Ok(loaded) = keys.fetched(flight.id, &answer, &Limits::default(), &External) {
                assert_eq!(loaded.issuer, name(flight.publisher));
                world.publishers[flight.publisher].held_since = Some(flight.made);
            }
        } else if world.random.chance(50) {
            keys.failed(flight.id);
        } // else: nobody tells, the source has to find out by its own timeout
    }
}

/// The attacker asks for keys that are not there as often as it likes, the same and others.
fn ask(seed: u64, step: usize, keys: &mut KeySources, world: &mut World) {
    let now = world.now();
    let mut fetches = keys.poll(now);
    for number in 0..world.random.below(5) {
        let issuer = world.random.below(4) as usize;
        let kid = match world.random.below(3) {
            0 => "always-this".to_owned(),
            1 => format!("key-{}", world.random.below(60)),
            _ => format!("forged-{step}-{number}"),
        };
        if keys.ring(now).has_key(&name(issuer), &kid) {
            continue;
        }
        fetches.extend(keys.unknown_kid(&name(issuer), &kid, now));
    }
    for (index, fetch) in fetches.iter().enumerate() {
        let twice = fetches.iter().take(index).any(|own| own.url == fetch.url);
        assert!(!twice, "seed {seed}: two at once");
        world.send(fetch);
    }
}

/// Only keys that their issuer published, none that was withdrawn before the held answer was
/// made, none past the hard expiry.
fn check_keys(seed: u64, keys: &mut KeySources, world: &World, jumps: bool) {
    let ring = keys.ring(world.now());
    for (number, publisher) in world.publishers.iter().enumerate() {
        let held = (0..world
            .publishers
            .iter()
            .map(|own| own.ever.len())
            .max()
            .unwrap()
            + 1)
            .map(|kid| format!("key-{kid}"))
            .filter(|kid| ring.has_key(&name(number), kid));
        for kid in held {
            let Some(withdrawn) = publisher.ever.get(&kid) else {
                panic!("seed {seed}: `{kid}` was never published by issuer {number}");
            };
            let made = publisher
                .held_since
                .unwrap_or_else(|| panic!("seed {seed}: keys from nowhere"));
            if let Some(withdrawn) = withdrawn {
                assert!(
                    *withdrawn >= made,
                    "seed {seed}: `{kid}` was withdrawn before"
                );
                let used = world.time - withdrawn;
                assert!(
                    jumps || used < 3600,
                    "seed {seed}: `{kid}` used {used} s after"
                );
            }
        }
        assert!(!ring.has_key(&name(number), "always-this"));
    }
}

/// However often keys were asked for: two fetches of one set are a cool-down apart.
fn check_fetches(seed: u64, world: &World, policy: &RefreshPolicy) {
    for publisher in &world.publishers {
        for pair in publisher.fetches.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(
                apart >= policy.cooldown,
                "seed {seed}: fetches {apart} s apart"
            );
        }
    }
}

/// Once the publishers are up and the clock runs, a new key is there with the next fetch.
fn check_recovery(seed: u64, keys: &mut KeySources, world: &mut World) {
    for number in 0..world.publishers.len() {
        let publisher = &mut world.publishers[number];
        publisher.rotate(world.time);
        let wanted = publisher.published.last().unwrap().clone();
        let body = publisher.body();
        let longest = RefreshPolicy::default().fresh * 110 / 100 + 1;
        let found = (0..=longest).any(|_| {
            world.time += 1;
            let now = world.now();
            let Some(fetch) = keys.unknown_kid(&name(number), &wanted, now) else {
                return false;
            };
            let answer = Answer {
                status: 200,
                body: &body,
                ..Answer::default()
            };
            keys.fetched(fetch.id, &answer, &Limits::default(), &External)
                .unwrap();
            assert!(
                keys.ring(now).has_key(&name(number), &wanted),
                "seed {seed}"
            );
            true
        });
        assert!(found, "seed {seed}: no fetch for a new key");
    }
}

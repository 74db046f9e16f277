//! Long sequences of events and faults that look random; a failure names its seed and step.

use std::collections::BTreeMap;

use serde_json::json;
use tokensmith_tests::wasm_host::{
    Draw, Faults, Headers, HttpResponse, Outcome, ROOT, Trapped, Vm, headers,
};

use crate::scene::{Scene, request, with_token};

const STEPS: usize = 1_000;

/// So much may the memory grow from the first half of the steps to the end.
const GROWTH: usize = 24 << 20;

/// Streams by context, and whether each may go on as somebody.
type Open = BTreeMap<u32, bool>;

struct Sequence<'s> {
    scene: &'s Scene,
    vm: Vm,
    draw: Draw,
    open: Open,
    start: u64,
}

impl Sequence<'_> {
    fn step(&mut self) -> Result<(), Trapped> {
        match self.draw.below(12) {
            0..=3 => self.ask(),
            4 => self.pick().map_or(Ok(()), |context| self.vm.rest(context)),
            5 | 6 => self.end(),
            7 | 8 => self.vm.tick(ROOT),
            9 => self.answer(),
            10 => {
                self.turn_clock();
                Ok(())
            }
            _ => self.disturb(),
        }
    }

    /// A new request, of any kind.
    fn ask(&mut self) -> Result<(), Trapped> {
        let now = self.vm.host().now().clamp(0, 1 << 40);
        let token = self.scene.token(now, &json!({}));
        let (headers, may): (Headers, bool) = match self.draw.below(6) {
            0 => (self.scene.good(now), true),
            1 => (with_token("GET", "/nodes", &token), true),
            2 => (self.scene.bad(now), false),
            3 => (with_token("DELETE", "/nodes/1", &token), false),
            4 => (request("GET", "/nodes", &[]), false),
            _ => {
                let mut headers = with_token("GET", "/nodes", "a.b.c");
                let junk = (self.draw.bytes(20), self.draw.bytes(40));
                headers.insert(self.draw.below(headers.len()), junk);
                (headers, false)
            }
        };
        let context = self.vm.open(ROOT, headers)?;
        self.open.insert(context, may);
        self.vm.request_headers(context).map(drop)
    }

    fn pick(&mut self) -> Option<u32> {
        let contexts: Vec<u32> = self.open.keys().copied().collect();
        (!contexts.is_empty()).then(|| *self.draw.one_of(&contexts))
    }

    fn end(&mut self) -> Result<(), Trapped> {
        let Some(context) = self.pick() else {
            return Ok(());
        };
        self.open.remove(&context);
        match self.draw.below(3) {
            0 => self.vm.end(context),
            1 => {
                self.vm.log(context)?;
                self.vm.done(context)?;
                self.vm.delete(context)
            }
            _ => self.vm.delete(context),
        }
    }

    fn answer(&mut self) -> Result<(), Trapped> {
        let waiting = self.vm.host().waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        let token = self.draw.one_of(&waiting).token;
        let response = match self.draw.below(5) {
            0 | 1 => Some(self.scene.key_set()),
            2 => None,
            3 => Some(HttpResponse {
                headers: headers(&[(":status", "200")]),
                body: self.draw.bytes(2_000),
                said: None,
            }),
            _ => Some(HttpResponse {
                headers: vec![(self.draw.bytes(9), self.draw.bytes(9))],
                body: Vec::new(),
                said: Some((self.draw.number() as u32, self.draw.number() as u32, 0)),
            }),
        };
        self.vm.respond(token, response)
    }

    fn turn_clock(&mut self) {
        let seconds = self.draw.below(900) as u64;
        let start = self.start;
        let host = self.vm.host_mut();
        host.clock = match self.draw.below(6) {
            0 => start,
            1 => host.clock.saturating_sub(seconds * 1_000_000_000),
            _ => host.clock.saturating_add(seconds * 1_000_000_000),
        };
    }

    /// Another plugin writes, and values come into queues.
    fn disturb(&mut self) -> Result<(), Trapped> {
        let queues = {
            let mut shared = self.vm.host().shared();
            for (value, change) in shared.data.values_mut() {
                if self.draw.below(3) == 0 {
                    *value = self.draw.bytes(300);
                    *change = change.wrapping_add(1).max(1);
                }
            }
            for (_, values) in &mut shared.queues {
                values.push_back(self.draw.bytes(100));
            }
            shared.queues.len() as u32
        };
        for queue in 1..=queues {
            self.vm.queue_ready(ROOT, queue)?;
        }
        Ok(())
    }

    fn check(&self, what: &str) {
        for (context, may) in &self.open {
            let outcome = self.vm.outcome(*context);
            self.scene.assert_not_forged(&outcome, what);
            if let Outcome::Continued(_) = outcome {
                assert!(may, "{what}: stream {context} went on: {outcome:?}");
            }
        }
    }
}

fn run(scene: &Scene, seed: u64) {
    let vm = scene.vm();
    let start = vm.host().clock;
    let mut sequence = Sequence {
        scene,
        vm,
        draw: Draw::new(seed),
        open: Open::new(),
        start,
    };
    let faults = Draw::new(seed.wrapping_mul(31));
    sequence.vm.host_mut().faults = Faults::Random(faults, 25);
    let mut half = 0;
    for step in 0..STEPS {
        let what = format!("seed {seed}, step {step}");
        if let Err(trapped) = sequence.step() {
            panic!("{what}: {trapped:?}");
        }
        sequence.check(&what);
        sequence.vm.host_mut().log.clear();
        if step == STEPS / 2 {
            half = sequence.vm.memory();
        }
    }
    let memory = sequence.vm.memory();
    assert!(
        memory <= half + GROWTH,
        "seed {seed}: {half} bytes, then {memory}"
    );
    sequence.vm.host_mut().faults = Faults::Never;
    for context in std::mem::take(&mut sequence.open).into_keys() {
        let ended = sequence.vm.end(context);
        ended.unwrap_or_else(|trapped| panic!("seed {seed}, end: {trapped:?}"));
    }
}

#[test]
fn with_configured_keys() {
    for seed in 1..=4 {
        run(&Scene::plain(), seed);
        run(&Scene::full(), seed);
    }
}

#[test]
fn with_keys_that_are_fetched() {
    for seed in 11..=18 {
        run(&Scene::remote(), seed);
    }
}

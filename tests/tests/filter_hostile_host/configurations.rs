//! Configurations that are none.

use serde_json::{Value, json};
use tokensmith_tests::wasm_host::{Draw, Outcome, Vm};

use crate::scene::Scene;

/// The filter in one virtual machine, with a root context for each configuration.
struct Configured {
    vm: Vm,
    roots: u32,
}

impl Configured {
    fn new(scene: &Scene) -> Self {
        let vm = Vm::start(scene.host()).unwrap();
        Self { vm, roots: 0 }
    }

    /// Whether a configuration is taken. One that is not is named in the log, and lets nobody in.
    fn takes(&mut self, scene: &Scene, configuration: &[u8], what: &str) -> bool {
        // The streams' contexts start at 2, far below these.
        self.roots += 1;
        let root = 1_000_000 + self.roots;
        self.vm.create_root(root).unwrap();
        self.vm.host_mut().log.clear();
        let taken = self.vm.configure(root, configuration);
        let taken = taken.unwrap_or_else(|trapped| panic!("{what}: {trapped:?}"));
        if !taken {
            let log = &self.vm.host().log;
            let named = log
                .iter()
                .any(|(level, line)| *level >= 4 && line.contains("tokensmith"));
            assert!(named, "{what}: {log:?}");
            let now = self.vm.host().now();
            let stream = self.vm.open(root, scene.good(now)).unwrap();
            let outcome = self.vm.request_headers(stream).unwrap();
            assert!(
                !matches!(outcome, Outcome::Continued(_)),
                "{what}: {outcome:?}"
            );
            self.vm.end(stream).unwrap();
        }
        self.vm.delete(root).unwrap();
        taken
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    let scene = Scene::plain();
    let good = scene.configuration.to_string();
    let megabyte = 1 << 20;
    let with = |name: &str, value: Value| {
        let mut changed = scene.configuration.clone();
        changed[name] = value;
        changed.to_string().into_bytes()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("a space", b" ".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("a megabyte of letters", vec![b'a'; megabyte]),
        ("a megabyte of zeros", vec![0; megabyte]),
        ("a megabyte of arrays", vec![b'['; megabyte]),
        (
            "a megabyte of objects",
            b"{\"issuers\":".repeat(megabyte / 11),
        ),
        ("deep in a field", deep(&good, 10_000)),
        ("no UTF-8", vec![0xff; 100]),
        ("no UTF-8 in a string", without_utf8(&good)),
        (
            "a control character",
            good.replace("svc", "\u{1}").into_bytes(),
        ),
        ("more after it", format!("{good}x").into_bytes()),
        ("twice", format!("{good}{good}").into_bytes()),
        ("an unknown field", with("mod", json!("off"))),
        (
            "a long unknown field",
            with(&"m".repeat(megabyte), json!(1)),
        ),
        ("no issuer", with("issuers", json!([]))),
        ("a number for the routes", with("routes", json!(1e300))),
        (
            "a policy that is none",
            with("policy", json!({"rules": "p".repeat(megabyte)})),
        ),
        (
            "a model that is none",
            with("policy", json!({"model": "[".repeat(9), "rules": ""})),
        ),
    ];
    let mut configured = Configured::new(&scene);
    for (name, configuration) in cases {
        let taken = configured.takes(&scene, &configuration, name);
        assert!(!taken, "{name} is taken");
    }
    assert!(configured.takes(&scene, good.as_bytes(), "the good one, after all these"));
}

#[test]
fn large_ones_are_taken_or_refused() {
    let scene = Scene::plain();
    let mut configured = Configured::new(&scene);
    let routes: Vec<Value> = (0..5_000)
        .map(|number| {
            json!({"match": {"prefix": format!("/route-{number}")},
                "object": "metadata:nodes", "action": "read"})
        })
        .collect();
    let rules = (0..10_000).map(|number| format!("p, role:r{number}, /o{number}, read\n"));
    for (name, value) in [
        ("routes", Value::from(routes)),
        ("policy", json!({"rules": rules.collect::<String>()})),
        ("cache", json!({"entries": u32::MAX})),
    ] {
        let mut large = scene.configuration.clone();
        large[name] = value;
        configured.takes(&scene, large.to_string().as_bytes(), name);
    }
    let memory = configured.vm.memory();
    assert!(memory < 256 << 20, "{memory} bytes");
}

#[test]
fn parts_of_one_and_changed_ones_are_taken_or_refused() {
    let seed = 20_261;
    let mut draw = Draw::new(seed);
    for scene in [Scene::plain(), Scene::full(), Scene::remote()] {
        let mut configured = Configured::new(&scene);
        let good = scene.configuration.to_string().into_bytes();
        for size in (0..good.len()).step_by(11) {
            let taken = configured.takes(&scene, &good[..size], "a part");
            assert!(!taken, "the first {size} bytes are taken");
        }
        for round in 0..150 {
            let mut changed = good.clone();
            for _ in 0..=draw.below(3) {
                let place = draw.below(changed.len());
                changed[place] = draw.number() as u8;
            }
            configured.takes(&scene, &changed, &format!("seed {seed}, round {round}"));
        }
        let memory = configured.vm.memory();
        assert!(memory < 128 << 20, "{memory} bytes");
    }
}

/// A field of arrays in arrays before all others.
fn deep(good: &str, levels: usize) -> Vec<u8> {
    let rest = good.strip_prefix('{').unwrap();
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!("{{\"policy\":{open}{close},{rest}").into_bytes()
}

fn without_utf8(good: &str) -> Vec<u8> {
    let place = good.find("svc").unwrap();
    let mut bytes = good.as_bytes().to_vec();
    bytes[place] = 0xff;
    bytes
}

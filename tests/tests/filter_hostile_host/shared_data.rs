//! Another plugin writes over what the workers share.

use std::sync::Arc;

use tokensmith_tests::wasm_host::{Draw, Outcome, ROOT, Vm, junk};

use crate::scene::{Scene, answer_all};

/// A worker of the same Envoy.
fn worker(scene: &Scene, first: &Vm) -> Vm {
    let mut host = scene.host();
    host.shared = Arc::clone(&first.host().shared);
    host.clock = first.host().clock;
    Vm::configured(host, &scene.configuration)
}

/// Puts `value` in the place of every value; how many there are.
fn overwrite(vm: &Vm, mut value: impl FnMut() -> Vec<u8>) -> usize {
    let mut shared = vm.host().shared();
    for (own, change) in shared.data.values_mut() {
        *own = value();
        *change = change.wrapping_add(1);
    }
    shared.data.len()
}

/// However it goes on, nobody is let in who should not be, and the keys come in the end.
fn assert_falls_back(scene: &Scene, vm: &mut Vm, what: &str) {
    for _ in 0..200 {
        let ticked = vm.tick(ROOT);
        ticked.unwrap_or_else(|trapped| panic!("{what}: {trapped:?}"));
        answer_all(vm, &scene.key_set()).unwrap_or_else(|trapped| panic!("{what}: {trapped:?}"));
        let now = vm.host().now();
        let bad = vm.request(scene.bad(now)).unwrap();
        assert!(!matches!(bad, Outcome::Continued(_)), "{what}: {bad:?}");
        let good = vm.request(scene.good(now)).unwrap();
        scene.assert_not_forged(&good, what);
        if matches!(good, Outcome::Continued(_)) {
            return;
        }
        vm.host_mut().pass(10);
    }
    panic!("{what}: no keys any more: {:?}", vm.host().log);
}

fn values() -> Vec<(String, Vec<u8>)> {
    let seed = 77;
    let mut draw = Draw::new(seed);
    let random = (0..20).map(|_| draw.bytes(300)).collect::<Vec<_>>();
    let large = [vec![b'{'; 1 << 20], vec![0; 1 << 20]];
    let all = junk().into_iter().chain(random).chain(large);
    all.enumerate()
        .map(|(number, value)| (format!("value {number}, seed {seed}"), value))
        .collect()
}

#[test]
fn a_worker_goes_on_when_what_it_wrote_is_something_else() {
    let scene = Scene::remote();
    for (what, value) in values() {
        let mut vm = scene.vm();
        vm.tick(ROOT).unwrap();
        let there = overwrite(&vm, || value.clone());
        assert!(there > 0, "the workers share nothing");
        assert_falls_back(&scene, &mut vm, &what);
        overwrite(&vm, || value.clone());
        assert_falls_back(&scene, &mut vm, &what);
    }
}

#[test]
fn a_worker_comes_up_beside_what_is_something_else() {
    let scene = Scene::remote();
    let mut first = scene.vm();
    first.tick(ROOT).unwrap();
    answer_all(&mut first, &scene.key_set()).unwrap();
    first.tick(ROOT).unwrap();
    for (what, value) in values() {
        overwrite(&first, || value.clone());
        let mut second = worker(&scene, &first);
        assert_falls_back(&scene, &mut second, &what);
    }
}

#[test]
fn parts_of_what_was_written_are_nothing() {
    let scene = Scene::remote();
    let mut first = scene.vm();
    first.tick(ROOT).unwrap();
    answer_all(&mut first, &scene.key_set()).unwrap();
    first.tick(ROOT).unwrap();
    let written = first.host().shared().data.clone();
    let mut draw = Draw::new(5);
    for round in 0..40 {
        let what = format!("round {round}, seed 5");
        {
            let mut shared = first.host().shared();
            shared.data.clone_from(&written);
            for (value, _) in shared.data.values_mut() {
                if draw.below(2) == 0 {
                    value.truncate(draw.below(value.len() + 1));
                } else if !value.is_empty() {
                    let place = draw.below(value.len());
                    value[place] = draw.number() as u8;
                }
            }
        }
        let mut second = worker(&scene, &first);
        assert_falls_back(&scene, &mut second, &what);
    }
}

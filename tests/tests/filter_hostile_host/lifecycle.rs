//! Contexts come and go in every order in which Envoy sends them.

use tokensmith_tests::wasm_host::{Outcome, ROOT, Trapped, Vm};

use crate::scene::{Scene, answer_all};

type Event = fn(&mut Vm, u32) -> Result<(), Trapped>;

const DONE: Event = |vm, context| vm.done(context).map(drop);
const LOG: Event = |vm, context| vm.log(context);
const REST: Event = |vm, context| vm.rest(context);
const HEADERS: Event = |vm, context| vm.request_headers(context).map(drop);

#[test]
fn every_order_of_a_streams_end() {
    let orders: [&[Event]; 9] = [
        &[],
        &[DONE],
        &[DONE, LOG],
        &[LOG, DONE],
        &[HEADERS, DONE, LOG],
        &[HEADERS, LOG, DONE],
        &[HEADERS, LOG, LOG, DONE],
        &[HEADERS, REST, DONE, LOG],
        &[HEADERS, REST, LOG, DONE],
    ];
    for scene in [Scene::plain(), Scene::full(), Scene::remote()] {
        let mut vm = scene.vm();
        let now = vm.host().now();
        for (name, request) in scene.requests(now) {
            for order in orders {
                let context = vm.open(ROOT, request.clone()).unwrap();
                for event in order {
                    event(&mut vm, context).unwrap_or_else(|trapped| panic!("{name}: {trapped:?}"));
                }
                vm.delete(context).unwrap();
                vm.tick(ROOT).unwrap();
            }
        }
        assert!(vm.host().streams.is_empty());
    }
}

#[test]
fn a_request_that_has_its_answer_does_not_go_on_with_its_body() {
    for scene in [Scene::plain(), Scene::full()] {
        let mut vm = scene.vm();
        let now = vm.host().now();
        let context = vm.open(ROOT, scene.bad(now)).unwrap();
        vm.request_headers(context).unwrap();
        vm.rest(context).unwrap();
        assert_eq!(vm.outcome(context).status(), Some(401));
        vm.end(context).unwrap();
    }
}

#[test]
fn requests_that_wait_for_keys_end_or_go_on_once() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    let now = vm.host().now();
    let open = |vm: &mut Vm, request| {
        let context = vm.open(ROOT, request).unwrap();
        vm.request_headers(context).unwrap();
        context
    };
    let good = open(&mut vm, scene.good(now));
    let bad = open(&mut vm, scene.bad(now));
    let with_body = open(&mut vm, scene.good(now));
    let ended = open(&mut vm, scene.good(now));
    let deleted = open(&mut vm, scene.good(now));
    for context in [good, bad, with_body] {
        let outcome = vm.outcome(context);
        assert!(!matches!(outcome, Outcome::Continued(_)), "{outcome:?}");
    }
    vm.rest(with_body).unwrap();
    let outcome = vm.outcome(with_body);
    assert!(!matches!(outcome, Outcome::Continued(_)), "{outcome:?}");
    vm.end(ended).unwrap();
    vm.delete(deleted).unwrap();
    vm.tick(ROOT).unwrap();
    answer_all(&mut vm, &scene.key_set()).unwrap();
    vm.tick(ROOT).unwrap();
    for context in [good, bad] {
        let outcome = vm.outcome(context);
        scene.assert_not_forged(&outcome, "after the keys came");
        assert_ne!(outcome, Outcome::Paused, "it is left waiting");
    }
    assert!(!matches!(vm.outcome(bad), Outcome::Continued(_)));
    for context in [good, bad, with_body] {
        vm.end(context).unwrap();
    }
    vm.tick(ROOT).unwrap();
}

#[test]
fn nobody_waits_for_ever() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    let now = vm.host().now();
    let mut waiting = Vec::new();
    for _ in 0..3_000 {
        let context = vm.open(ROOT, scene.good(now)).unwrap();
        vm.request_headers(context).unwrap();
        waiting.push(context);
    }
    for _ in 0..10 {
        vm.host_mut().pass(1);
        vm.tick(ROOT).unwrap();
    }
    for context in waiting {
        let outcome = vm.outcome(context);
        assert_eq!(outcome.status(), Some(503), "{outcome:?}");
        vm.end(context).unwrap();
    }
}

#[test]
fn two_configurations_in_one_virtual_machine() {
    let (first, second) = (Scene::plain(), Scene::plain());
    let mut vm = first.vm();
    let other = 500_000;
    vm.create_root(other).unwrap();
    let configuration = second.configuration.to_string();
    assert!(vm.configure(other, configuration.as_bytes()).unwrap());
    let now = vm.host().now();
    let mut ask = |root, scene: &Scene| {
        let context = vm.open(root, scene.good(now)).unwrap();
        let outcome = vm.request_headers(context).unwrap();
        vm.end(context).unwrap();
        matches!(outcome, Outcome::Continued(_))
    };
    assert!(ask(ROOT, &first) && ask(other, &second));
    assert!(!ask(ROOT, &second) && !ask(other, &first));
}

#[test]
fn what_the_filter_does_not_listen_to_does_no_harm() {
    let scene = Scene::full();
    let mut vm = scene.vm();
    for queue in [0, 1, u32::MAX] {
        vm.queue_ready(ROOT, queue).unwrap();
    }
    assert!(vm.done(ROOT).unwrap());
    vm.log(ROOT).unwrap();
    vm.tick(ROOT).unwrap();
    vm.delete(ROOT).unwrap();
}

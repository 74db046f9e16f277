//! Host calls succeed and give other bytes, sizes and numbers than there are.

use tokensmith_tests::wasm_host::{Fault, Faults, Vm, gives_bytes, gives_numbers, junk};

use crate::scene::Scene;

/// What the module can find out: its own allocations with other contents, null pointers, nothing.
fn other_contents(function: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if gives_bytes(function) {
        faults.extend(junk().into_iter().map(Fault::Bytes));
        faults.extend([Fault::Null(1), Fault::Null(u32::MAX), Fault::Nothing]);
    }
    if gives_numbers(function) {
        faults.extend([0, 1, 1 << 31, 1 << 63, u64::MAX].map(Fault::Number));
    }
    faults
}

fn with_a_request(scene: &Scene) {
    let now = scene.host().now();
    for (name, request) in scene.requests(now) {
        let mut vm = scene.vm();
        vm.host_mut().calls.clear();
        let undisturbed = vm.request(request.clone()).unwrap();
        let calls = vm.host().calls.clone();
        let disturbable = calls.iter().filter(|function| gives_bytes(function));
        assert!(disturbable.count() > 0, "{name}: {calls:?}");
        for (place, function) in calls.iter().enumerate() {
            for fault in other_contents(function) {
                let what = format!("{name}: {fault:?} from call {place}, `{function}`");
                let mut vm = scene.vm();
                let host = vm.host_mut();
                host.calls.clear();
                host.faults = Faults::At(place, fault);
                match vm.request(request.clone()) {
                    Ok(outcome) => {
                        scene.assert_not_forged(&outcome, &what);
                        let path_changed = function.contains("header_map");
                        if !path_changed {
                            scene.assert_closed(&undisturbed, &outcome, &what);
                        }
                        let let_in = outcome.continued_with("x-tokensmith-subject");
                        let entitled = undisturbed.continued_with("x-tokensmith-subject");
                        assert!(
                            let_in.is_none() || let_in == entitled,
                            "{what}: {outcome:?}"
                        );
                    }
                    Err(trapped) => panic!("{what}: {trapped:?}"),
                }
            }
        }
    }
}

fn with_a_configuration(scene: &Scene) {
    let mut reference = scene.vm();
    let calls = reference.host().calls.clone();
    let now = reference.host().now();
    let (good, bad) = (scene.good(now), scene.bad(now));
    let undisturbed = reference.request(good.clone()).unwrap();
    for (place, function) in calls.iter().enumerate() {
        for fault in other_contents(function) {
            let what = format!("{fault:?} from call {place}, `{function}`");
            let vm = scene.vm_with(Faults::At(place, fault));
            let Some(mut vm) = vm.unwrap_or_else(|trapped| panic!("{what}: {trapped:?}")) else {
                continue;
            };
            vm.host_mut().faults = Faults::Never;
            let outcome = vm.request(good.clone()).unwrap();
            scene.assert_closed(&undisturbed, &outcome, &what);
            let outcome = vm.request(bad.clone()).unwrap();
            assert!(outcome.status().is_some(), "{what}: {outcome:?}");
        }
    }
}

/// Rust frees bytes with the size that it was told: it stops the module if they were allocated with
/// another. No filter can find that out beforehand, and Envoy says how much it allocated. Such a
/// trap is excused; that a request goes on is not.
fn with_other_sizes(scene: &Scene) {
    let now = scene.host().now();
    for (name, request) in scene.requests(now) {
        let mut vm = scene.vm();
        vm.host_mut().calls.clear();
        let undisturbed = vm.request(request.clone()).unwrap();
        let calls = vm.host().calls.clone();
        let entitled = undisturbed.continued_with("x-tokensmith-subject");
        for (place, function) in calls.iter().enumerate() {
            if !gives_bytes(function) {
                continue;
            }
            for fault in [Fault::Longer(1), Fault::Longer(1 << 20), Fault::WholeMemory] {
                let what = format!("{name}: {fault:?} from call {place}, `{function}`");
                let mut vm = scene.vm();
                let host = vm.host_mut();
                host.calls.clear();
                host.faults = Faults::At(place, fault);
                match vm.request(request.clone()) {
                    Ok(outcome) => {
                        scene.assert_not_forged(&outcome, &what);
                        let let_in = outcome.continued_with("x-tokensmith-subject");
                        assert!(
                            let_in.is_none() || let_in == entitled,
                            "{what}: {outcome:?}"
                        );
                    }
                    Err(trapped) => assert!(!trapped.endless, "{what}: {trapped:?}"),
                }
            }
        }
    }
}

#[test]
fn other_contents_for_a_plain_configuration() {
    with_a_request(&Scene::plain());
    with_a_configuration(&Scene::plain());
}

#[test]
fn other_contents_for_a_full_configuration() {
    with_a_request(&Scene::full());
    with_a_request(&Scene::overridden());
    with_a_configuration(&Scene::full());
}

#[test]
fn other_sizes_than_were_allocated() {
    with_other_sizes(&Scene::plain());
    with_other_sizes(&Scene::full());
}

#[test]
fn a_host_that_takes_every_signature_for_something_it_is_not() {
    let scene = Scene::plain();
    let now = scene.host().now();
    for answer in junk() {
        let mut host = scene.host();
        let fault = Fault::Bytes(answer.clone());
        host.faults = Faults::Of("proxy_call_foreign_function", fault);
        let mut vm = Vm::configured(host, &scene.configuration);
        let good = vm.request(scene.good(now)).unwrap();
        let subject = good.continued_with("x-tokensmith-subject");
        assert_eq!(
            subject,
            Some(vec!["alice".to_owned()]),
            "{answer:?}: {good:?}"
        );
        let bad = vm.request(scene.bad(now)).unwrap();
        assert_eq!(bad.status(), Some(401), "{answer:?}: {bad:?}");
    }
}

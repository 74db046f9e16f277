//! Every host call fails once, at every place, with every status.

use tokensmith_tests::wasm_host::status::FAILURES;
use tokensmith_tests::wasm_host::{Fault, Faults, Outcome, ROOT, Trapped, Vm};

use crate::scene::{Scene, answer_all, assert_excused};

/// Of each request whose name `is_asked`.
fn at_every_call_of_a_request(scene: &Scene, is_asked: fn(&str) -> bool) {
    let now = scene.host().now();
    let requests = scene.requests(now).into_iter();
    for (name, request) in requests.filter(|(name, _)| is_asked(name)) {
        let mut vm = scene.vm();
        vm.host_mut().calls.clear();
        let undisturbed = vm.request(request.clone()).unwrap();
        let calls = vm.host().calls.clone();
        assert!(calls.len() > 3, "{name}: {calls:?}");
        for (place, function) in calls.iter().enumerate() {
            for status in FAILURES {
                let what = format!("{name}: {status} of call {place}, `{function}`");
                let mut vm = scene.vm();
                let host = vm.host_mut();
                host.calls.clear();
                host.faults = Faults::At(place, Fault::Status(status));
                match vm.request(request.clone()) {
                    Ok(outcome) => {
                        scene.assert_closed(&undisturbed, &outcome, &what);
                        assert_recovered(scene, &mut vm, &what);
                    }
                    Err(trapped) => assert_excused(&trapped, function, status, &what),
                }
            }
        }
    }
}

/// What failed once does not keep the next request out.
fn assert_recovered(scene: &Scene, vm: &mut Vm, what: &str) {
    vm.host_mut().faults = Faults::Never;
    let now = vm.host().now();
    let good = vm.request(scene.good(now)).unwrap();
    assert!(
        matches!(good, Outcome::Continued(_)),
        "{what}, next: {good:?}"
    );
}

fn at_every_call_of_the_configuration(scene: &Scene) {
    let mut reference = scene.vm();
    let calls = reference.host().calls.clone();
    assert!(calls.contains(&"proxy_get_buffer_bytes"), "{calls:?}");
    let now = reference.host().now();
    let requests = [scene.good(now), scene.bad(now)];
    let undisturbed = requests
        .clone()
        .map(|request| reference.request(request).unwrap());
    for (place, function) in calls.iter().enumerate() {
        for status in FAILURES {
            let what = format!("{status} of call {place}, `{function}`");
            match scene.vm_with(Faults::At(place, Fault::Status(status))) {
                Ok(None) => {}
                Ok(Some(mut vm)) => {
                    vm.host_mut().faults = Faults::Never;
                    for (request, undisturbed) in requests.iter().zip(&undisturbed) {
                        let outcome = vm.request(request.clone()).unwrap();
                        scene.assert_closed(undisturbed, &outcome, &what);
                    }
                }
                Err(trapped) => assert_excused(&trapped, function, status, &what),
            }
        }
    }
}

/// A request before the keys are there, and one of each kind after they came: how they ended, and
/// the host calls; `None` when the configuration is not taken.
type Fetched = Result<Option<([Outcome; 3], Vec<&'static str>)>, Trapped>;

fn fetch_and_ask(scene: &Scene, faults: Faults) -> Fetched {
    let Some(mut vm) = scene.vm_with(faults)? else {
        return Ok(None);
    };
    let now = vm.host().now();
    let early = vm.open(ROOT, scene.good(now))?;
    vm.request_headers(early)?;
    vm.tick(ROOT)?;
    answer_all(&mut vm, &scene.key_set())?;
    vm.tick(ROOT)?;
    let good = vm.request(scene.good(now))?;
    let bad = vm.request(scene.bad(now))?;
    let outcomes = [vm.outcome(early), good, bad];
    vm.end(early)?;
    Ok(Some((outcomes, vm.host().calls.clone())))
}

#[test]
fn of_a_request_with_a_plain_configuration() {
    at_every_call_of_a_request(&Scene::plain(), |_| true);
}

#[test]
fn of_a_request_with_a_full_configuration() {
    at_every_call_of_a_request(&Scene::full(), |_| true);
}

#[test]
fn of_a_request_with_overrides() {
    // The others differ in nothing that overrides change.
    let few = |name: &str| matches!(name, "good" | "no permission" | "public");
    at_every_call_of_a_request(&Scene::overridden(), few);
}

#[test]
fn of_a_configuration() {
    at_every_call_of_the_configuration(&Scene::plain());
    at_every_call_of_the_configuration(&Scene::full());
}

#[test]
fn of_a_fetch_of_keys() {
    let scene = Scene::remote();
    let (undisturbed, calls) = fetch_and_ask(&scene, Faults::Never).unwrap().unwrap();
    let [_, good, bad] = &undisturbed;
    assert!(matches!(good, Outcome::Continued(_)), "{good:?}");
    assert_eq!(bad.status(), Some(401), "{bad:?}");
    assert!(calls.contains(&"proxy_http_call"), "{calls:?}");
    for (place, function) in calls.iter().enumerate() {
        for status in FAILURES {
            let what = format!("{status} of call {place}, `{function}`");
            match fetch_and_ask(&scene, Faults::At(place, Fault::Status(status))) {
                Ok(None) => {}
                Ok(Some((outcomes, _))) => {
                    for (outcome, undisturbed) in outcomes.iter().zip([good, good, bad]) {
                        scene.assert_closed(undisturbed, outcome, &what);
                    }
                }
                Err(trapped) => assert_excused(&trapped, function, status, &what),
            }
        }
    }
}

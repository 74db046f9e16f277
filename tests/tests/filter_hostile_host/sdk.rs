//! What proxy-wasm's SDK (0.2.5) itself cannot stand, as it says: events about contexts and calls
//! that are not there. Envoy never sends them, and the filter cannot refuse them, as they end in the
//! SDK before they come to it. When one of these no longer traps, it belongs to [`crate::lifecycle`]
//! or [`crate::fetches`].

use tokensmith_tests::wasm_host::{Fault, Faults, ROOT, Trapped, Vm};

use crate::scene::Scene;

type Event = fn(&mut Vm) -> Result<(), Trapped>;

fn assert_of_dispatcher(what: &str, ended: Result<(), Trapped>, message: &str) {
    let Err(trapped) = ended else {
        panic!("{what}: it does not trap any more");
    };
    let panic = trapped.panic.as_deref().unwrap_or_default();
    assert!(
        trapped.is_of_sdk("dispatcher.rs") && panic.contains(message),
        "{what}: {trapped:?}"
    );
}

#[test]
fn contexts_that_are_not_there() {
    let scene = Scene::plain();
    let events: [(&str, Event); 3] = [
        ("delete", |vm| vm.delete(77)),
        ("tick", |vm| vm.tick(77)),
        ("configuration", |vm| vm.configure(77, b"{}").map(drop)),
    ];
    for (name, event) in events {
        let mut vm = scene.vm();
        assert_of_dispatcher(name, event(&mut vm), "invalid context_id");
    }
}

#[test]
fn calls_that_were_not_made() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    let ended = vm.respond(77, Some(scene.key_set()));
    assert_of_dispatcher("not made", ended, "invalid token_id");
    let mut vm = scene.vm();
    vm.tick(ROOT).unwrap();
    let token = vm.host().waiting()[0].token;
    vm.respond(token, Some(scene.key_set())).unwrap();
    assert_of_dispatcher(
        "made and answered",
        vm.respond(token, None),
        "invalid token_id",
    );
}

#[test]
fn numbers_of_calls_that_are_given_twice() {
    let mut scene = Scene::remote();
    let mut second = scene.configuration["issuers"][0].clone();
    second["issuer"] = "https://second.test".into();
    second["jwks_uri"] = "http://second.test/jwks".into();
    let issuers = scene.configuration["issuers"].as_array_mut().unwrap();
    issuers.push(second);
    let ended = scene
        .vm_with(Faults::Of("proxy_http_call", Fault::Number(5)))
        .and_then(|vm| vm.unwrap().tick(ROOT));
    assert_of_dispatcher("given twice", ended, "duplicate token_id");
}

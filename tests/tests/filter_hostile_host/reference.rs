//! What the filter does on a host that does as it should.

use serde_json::Value;
use tokensmith_tests::wasm_host::{Host, Outcome, Vm};

use crate::scene::{Scene, answer_all};

fn code(outcome: &Outcome) -> String {
    let Outcome::Denied(response) = outcome else {
        panic!("{outcome:?}");
    };
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

fn one(outcome: &Outcome, name: &str) -> String {
    let values = outcome.continued_with(name).unwrap_or_default();
    assert_eq!(values.len(), 1, "{name}: {outcome:?}");
    values[0].clone()
}

fn every_request_ends_as_it_should(scene: &Scene) {
    let mut vm = scene.vm();
    let now = vm.host().now();
    for round in 0..2 {
        for (name, request) in scene.requests(now) {
            let outcome = vm.request(request).unwrap();
            let what = format!("{name}, round {round}: {outcome:?}");
            scene.assert_not_forged(&outcome, &what);
            match name {
                "bad signature" => {
                    assert_eq!(outcome.status(), Some(401), "{what}");
                    assert_eq!(code(&outcome), "AUTHN_INVALID", "{what}");
                }
                "no token" => {
                    assert_eq!(outcome.status(), Some(401), "{what}");
                    assert_eq!(code(&outcome), "AUTHN_REQUIRED", "{what}");
                }
                "no permission" => {
                    assert_eq!(outcome.status(), Some(403), "{what}");
                    assert_eq!(code(&outcome), "AUTHZ_DENIED", "{what}");
                }
                "no route" => assert_eq!(outcome.status(), Some(403), "{what}"),
                "public" => {
                    let subject = outcome.continued_with("x-tokensmith-subject");
                    assert_eq!(subject, Some(Vec::new()), "{what}");
                }
                _ => {
                    assert_eq!(one(&outcome, "x-tokensmith-subject"), "alice");
                    assert_eq!(one(&outcome, "x-tokensmith-roles"), "viewer");
                    assert_eq!(one(&outcome, "x-email"), "alice@site");
                }
            }
        }
    }
}

#[test]
fn a_plain_configuration() {
    every_request_ends_as_it_should(&Scene::plain());
}

#[test]
fn a_configuration_with_overrides() {
    let scene = Scene::overridden();
    every_request_ends_as_it_should(&scene);
    let mut vm = scene.vm();
    let now = vm.host().now();
    for (name, request) in Scene::full().requests(now) {
        let outcome = vm.request(request).unwrap();
        assert_eq!(outcome.status(), Some(400), "{name}: {outcome:?}");
    }
}

#[test]
fn a_full_configuration() {
    let scene = Scene::full();
    every_request_ends_as_it_should(&scene);
    let mut vm = scene.vm();
    let now = vm.host().now();
    for (name, request) in scene.requests(now) {
        let outcome = vm.request(request).unwrap();
        let path = outcome.continued_with(":path").unwrap_or_default();
        let cookie = outcome.continued_with("cookie").unwrap_or_default();
        match name {
            "good" => {
                assert_eq!(outcome.continued_with("authorization"), Some(Vec::new()));
                assert_eq!(one(&outcome, "x-nested"), "c,d");
                assert!(one(&outcome, "x-jwt-payload").starts_with("ey"));
                assert_eq!(path, ["/nodes/1?q=1"]);
            }
            "token in the query" => assert_eq!(path, ["/nodes?a=1&b=2"]),
            "token in a cookie" => {
                assert!(
                    cookie.iter().all(|value| !value.contains("session")),
                    "{cookie:?}"
                );
                assert!(
                    cookie.iter().any(|value| value.contains("b=2")),
                    "{cookie:?}"
                );
            }
            _ => {}
        }
    }
    let streams = vm.host().streams.values();
    let left = streams.filter(|stream| !stream.filter_state.is_empty());
    assert!(left.count() > 0, "nothing is left for later filters");
}

#[test]
fn keys_that_are_fetched() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    let now = vm.host().now();
    vm.tick(1).unwrap();
    assert!(
        !vm.host().waiting().is_empty(),
        "the keys are not asked for"
    );
    answer_all(&mut vm, &scene.key_set()).unwrap();
    let good = vm.request(scene.good(now)).unwrap();
    assert_eq!(one(&good, "x-tokensmith-subject"), "alice");
    assert_eq!(vm.request(scene.bad(now)).unwrap().status(), Some(401));
}

#[test]
fn nobody_is_let_in_before_there_is_a_configuration() {
    let scene = Scene::plain();
    let mut vm = Vm::start(Host::new()).unwrap();
    vm.create_root(1).unwrap();
    vm.tick(1).unwrap();
    let now = vm.host().now();
    for (name, request) in scene.requests(now) {
        let outcome = vm.request(request).unwrap();
        assert_eq!(outcome.status(), Some(503), "{name}: {outcome:?}");
    }
}

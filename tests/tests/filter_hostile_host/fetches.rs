//! Answers of the issuer's server that are none.

use tokensmith_tests::wasm_host::{Fault, Faults, HttpResponse, Outcome, ROOT, Vm, headers};

use crate::scene::{Scene, answer_all};

fn response(pairs: &[(&str, &str)], body: Vec<u8>) -> HttpResponse {
    HttpResponse {
        headers: headers(pairs),
        body,
        said: None,
    }
}

fn said(mut response: HttpResponse, counts: (u32, u32, u32)) -> HttpResponse {
    response.said = Some(counts);
    response
}

/// Lets time pass until the keys are asked for again.
fn ask_again(vm: &mut Vm, what: &str) {
    for _ in 0..200 {
        vm.host_mut().pass(60);
        vm.tick(ROOT).unwrap();
        if !vm.host().waiting().is_empty() {
            return;
        }
    }
    panic!(
        "{what}: the keys are not asked for again: {:?}",
        vm.host().log
    );
}

/// Nobody is let in by a bad answer; after it the good one is asked for and taken.
fn assert_recovers(scene: &Scene, vm: &mut Vm, what: &str) {
    let now = vm.host().now();
    let bad = vm.request(scene.bad(now)).unwrap();
    assert!(!matches!(bad, Outcome::Continued(_)), "{what}: {bad:?}");
    vm.host_mut().faults = Faults::Never;
    ask_again(vm, what);
    answer_all(vm, &scene.key_set()).unwrap();
    vm.tick(ROOT).unwrap();
    let now = vm.host().now();
    let good = vm.request(scene.good(now)).unwrap();
    let subject = good.continued_with("x-tokensmith-subject");
    assert_eq!(subject, Some(vec!["alice".to_owned()]), "{what}: {good:?}");
}

#[test]
fn a_bad_answer_lets_nobody_in_and_the_next_good_one_is_taken() {
    let scene = Scene::remote();
    let good = scene.key_set();
    let body = good.body.clone();
    let ok = [(":status", "200")];
    let cases: Vec<(&str, Option<HttpResponse>)> = vec![
        ("the connection broke", None),
        ("no headers", Some(response(&[], body.clone()))),
        ("no status", Some(response(&[("a", "b")], body.clone()))),
        (
            "a status of letters",
            Some(response(&[(":status", "ok")], body.clone())),
        ),
        (
            "a status beyond numbers",
            Some(response(&[(":status", "99999999999")], body.clone())),
        ),
        (
            "not modified",
            Some(response(&[(":status", "304")], Vec::new())),
        ),
        (
            "a server error",
            Some(response(&[(":status", "503")], body.clone())),
        ),
        ("no body", Some(response(&ok, Vec::new()))),
        (
            "half a body",
            Some(response(&ok, body[..body.len() / 2].to_vec())),
        ),
        ("no UTF-8", Some(response(&ok, vec![0xff; 1000]))),
        ("arrays in arrays", Some(response(&ok, vec![b'['; 100_000]))),
        ("4 MB of zeros", Some(response(&ok, vec![0; 4 << 20]))),
        ("no keys", Some(response(&ok, b"{\"keys\":[]}".to_vec()))),
        (
            "no objects",
            Some(response(&ok, b"{\"keys\":[1,null,[]]}".to_vec())),
        ),
    ];
    for (name, answer) in cases {
        let mut vm = scene.vm();
        vm.tick(ROOT).unwrap();
        for call in vm.host().waiting() {
            let ended = vm.respond(call.token, answer.clone());
            ended.unwrap_or_else(|trapped| panic!("{name}: {trapped:?}"));
        }
        assert_recovers(&scene, &mut vm, name);
    }
}

#[test]
fn lying_sizes_and_headers_do_no_harm() {
    let scene = Scene::remote();
    let good = scene.key_set();
    let size = good.body.len() as u32;
    let mut odd = good.clone();
    odd.headers.extend([
        (b"etag".to_vec(), vec![0xff; 10_000]),
        (
            b"cache-control".to_vec(),
            b"max-age=99999999999999999999".to_vec(),
        ),
        (b"date".to_vec(), vec![0; 100]),
    ]);
    let cases = [
        (
            "more than there is",
            said(good.clone(), (u32::MAX, u32::MAX, u32::MAX)),
        ),
        (
            "nothing, where there is something",
            said(good.clone(), (0, 0, 0)),
        ),
        ("headers only", said(good.clone(), (2, 0, 0))),
        ("half the body", said(good.clone(), (2, size / 2, 0))),
        ("odd headers", odd),
    ];
    for (name, answer) in cases {
        let mut vm = scene.vm();
        vm.tick(ROOT).unwrap();
        let ended = answer_all(&mut vm, &answer);
        ended.unwrap_or_else(|trapped| panic!("{name}: {trapped:?}"));
        assert_recovers(&scene, &mut vm, name);
    }
}

#[test]
fn what_cannot_be_read_of_an_answer_is_not_there() {
    let scene = Scene::remote();
    for function in ["proxy_get_buffer_bytes", "proxy_get_header_map_value"] {
        for fault in [
            Fault::Status(1),
            Fault::Null(9),
            Fault::Nothing,
            Fault::Bytes(vec![0xff]),
        ] {
            let what = format!("{function}: {fault:?}");
            let mut vm = scene.vm();
            vm.tick(ROOT).unwrap();
            vm.host_mut().faults = Faults::Of(function, fault);
            let ended = answer_all(&mut vm, &scene.key_set());
            ended.unwrap_or_else(|trapped| panic!("{what}: {trapped:?}"));
            vm.host_mut().faults = Faults::Never;
            assert_recovers(&scene, &mut vm, &what);
        }
    }
}

#[test]
fn an_issuer_that_cannot_be_reached_is_asked_again() {
    let scene = Scene::remote();
    for fault in [Fault::Status(2), Fault::Status(10)] {
        let faults = Faults::Of("proxy_http_call", fault);
        let mut vm = scene.vm_with(faults).unwrap().unwrap();
        for _ in 0..100 {
            vm.host_mut().pass(1);
            vm.tick(ROOT).unwrap();
        }
        let asked = vm
            .host()
            .calls
            .iter()
            .filter(|call| **call == "proxy_http_call");
        let asked = asked.count();
        assert!(
            (1..=60).contains(&asked),
            "asked {asked} times in 100 seconds"
        );
        assert_recovers(&scene, &mut vm, "not reached");
    }
}

#[test]
fn an_answer_for_a_context_that_is_gone_is_nobodys() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    vm.tick(ROOT).unwrap();
    let waiting = vm.host().waiting();
    assert!(!waiting.is_empty());
    vm.done(ROOT).unwrap();
    vm.delete(ROOT).unwrap();
    for call in waiting {
        vm.respond(call.token, Some(scene.key_set())).unwrap();
    }
}

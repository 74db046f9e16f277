//! The clock jumps, or does not go.

use serde_json::json;
use tokensmith_tests::wasm_host::{Fault, Faults, Outcome};

use crate::scene::{Scene, with_token};

#[test]
fn a_token_is_good_in_its_time_only_however_the_clock_jumps() {
    let scene = Scene::plain();
    let mut vm = scene.vm();
    let start = vm.host().clock;
    let now = vm.host().now();
    let short = scene.token(now, &json!({"exp": now + 600, "session_exp": now + 600}));
    let request = with_token("GET", "/nodes", &short);
    let day = 86_400_000_000_000;
    // The verdict is remembered from the first one on, and good until the token ends.
    let cases = [
        (start, true),
        (start + 1, true),
        (start + day, false),
        (start, true),
        (u64::MAX, false),
        (start, true),
        (start + 2 * day, false),
    ];
    for (clock, good) in cases {
        vm.host_mut().clock = clock;
        let outcome = vm.request(request.clone()).unwrap();
        let went_on = matches!(outcome, Outcome::Continued(_));
        assert_eq!(went_on, good, "at {clock}: {outcome:?}");
        scene.assert_not_forged(&outcome, "clock");
    }
}

#[test]
fn ticks_at_any_time_do_no_harm() {
    let scene = Scene::remote();
    let mut vm = scene.vm();
    let start = vm.host().clock;
    for clock in [start, 0, u64::MAX, start, 1, u64::MAX / 2, start] {
        vm.host_mut().clock = clock;
        vm.tick(1).unwrap();
        let now = vm.host().now();
        let outcome = vm.request(scene.bad(now.min(1 << 40))).unwrap();
        assert!(!matches!(outcome, Outcome::Continued(_)), "{outcome:?}");
    }
}

#[test]
fn a_clock_that_stands_still_lets_nobody_in() {
    let scene = Scene::plain();
    let mut vm = scene.vm();
    let now = vm.host().now();
    let good = scene.good(now);
    for time in [0, 1, u64::MAX] {
        let fault = Fault::Number(time);
        vm.host_mut().faults = Faults::Of("proxy_get_current_time_nanoseconds", fault);
        let outcome = vm.request(good.clone()).unwrap();
        assert_eq!(outcome.status(), Some(401), "{time}: {outcome:?}");
    }
}

//! Keys that are fetched already go over to the sources of a configuration that changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use tokensmith_engine::decide::{WantedKey, WantedKeys};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, IssuerSource, KeySources, Origin, RefreshPolicy};
use tokensmith_engine::verify::External;

const SET: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn sources(issuers: &[(&str, &str)]) -> KeySources {
    let sources = issuers.iter().map(|(issuer, url)| IssuerSource {
        issuer: (*issuer).to_owned(),
        origin: Origin::Remote {
            url: (*url).to_owned(),
            policy: RefreshPolicy::default(),
        },
    });
    KeySources::new(sources, &External, 7)
}

fn fetched() -> KeySources {
    let mut keys = sources(&[("a", "https://a/jwks"), ("b", "https://b/jwks")]);
    let answer = Answer {
        status: 200,
        body: SET,
        ..Answer::default()
    };
    for fetch in keys.poll(100) {
        keys.fetched(fetch.id, &answer, &Limits::default(), &External)
            .unwrap();
    }
    keys
}

#[test]
fn keys_of_the_same_place_are_taken_over() {
    let former = fetched();
    let mut keys = sources(&[
        ("c", "https://c/jwks"),
        ("b", "https://b/other"),
        ("a", "https://a/jwks"),
    ]);
    let epoch = keys.epoch();
    keys.adopt(&former, 101, &External);
    assert!(keys.epoch() > epoch);
    assert!(keys.ring(101).has_key("a", "a"));
    assert!(!keys.ring(101).has_key("b", "a"), "from another URL");
    let missing: Vec<String> = keys.missing(101).map(str::to_owned).collect();
    assert_eq!(missing, ["c", "b"]);
    let urls: Vec<String> = keys.poll(101).into_iter().map(|fetch| fetch.url).collect();
    assert_eq!(urls, ["https://c/jwks", "https://b/other"]);
    // Their end goes over with them.
    assert!(!keys.ring(100 + 3600).has_key("a", "a"));
}

#[test]
fn what_has_ended_or_is_under_way_stays_behind() {
    let mut former = fetched();
    let mut late = sources(&[("a", "https://a/jwks")]);
    late.adopt(&former, 100 + 3600, &External);
    assert!(!late.ring(100 + 3600).has_key("a", "a"));
    // The former waits for an answer; the new one does not.
    assert_eq!(former.poll(800).len(), 2);
    let mut keys = sources(&[("a", "https://a/jwks")]);
    keys.adopt(&former, 800, &External);
    assert_eq!(keys.poll(800).len(), 0, "cooling down");
    assert_eq!(keys.poll(840).len(), 1);
}

#[test]
fn wanted_keys_are_few_and_looked_for_once() {
    let mut keys = fetched();
    let mut wanted = WantedKeys::default();
    let noted = (0..100)
        .filter(|number| {
            wanted.note(&WantedKey {
                issuer: "a".to_owned(),
                kid: Some(format!("new-{number}")),
            })
        })
        .count();
    assert_eq!(noted, 8);
    let fetches = wanted.fetches(&mut keys, 200);
    assert_eq!(fetches.len(), 1);
    assert_eq!(fetches[0].url, "https://a/jwks");
    assert!(wanted.fetches(&mut keys, 201).is_empty());
}

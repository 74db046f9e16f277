use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tokensmith_engine::jose::Algorithm;

use super::*;
use crate::signing_key::{KeyKind, RsaSize};

fn entry(kid: &str, published: i64, signs_from: i64) -> KeyEntry {
    KeyEntry {
        kid: kid.to_owned(),
        file: format!("{kid}.pem"),
        alg: Algorithm::ES256,
        published,
        signs_from,
        retired: None,
        withdrawn: None,
    }
}

fn set(keys: Vec<KeyEntry>) -> KeySet {
    KeySet {
        keys,
        ..KeySet::default()
    }
}

/// States in the order of the set, as `p`, `s`, `r`, `w`.
fn states(set: &KeySet, now: i64) -> String {
    set.statuses(now)
        .iter()
        .filter_map(|status| status.state.name().chars().next())
        .collect()
}

#[test]
fn states_follow_from_the_set_and_the_time() {
    let rotated = set(vec![entry("a", 0, 0), entry("b", 1_000, 1_600)]);
    let mut early = rotated.clone();
    early.keys[1].retired = Some(1_200);
    let mut at_once = rotated.clone();
    at_once.keys[0].withdrawn = Some(2_000);
    let together = set(vec![entry("a", 5, 5), entry("b", 5, 5)]);
    let mut names = rotated.clone();
    names.implicit = true;
    let thrice = set(vec![
        entry("a", 0, 0),
        entry("b", 0, 100),
        entry("c", 0, 200),
    ]);
    let cases = [
        // set, time, states, who signs, how many are published, next change
        (&rotated, 999, "sp", "a", 2, Some(1_600)),
        (&rotated, 1_599, "sp", "a", 2, Some(1_600)),
        (&rotated, 1_600, "rs", "b", 2, Some(1_600 + 3_660)),
        (&rotated, 1_600 + 3_659, "rs", "b", 2, Some(1_600 + 3_660)),
        (&rotated, 1_600 + 3_660, "ws", "b", 1, None),
        // A clock that is behind: better the first key than none.
        (&rotated, -1, "pp", "a", 2, Some(0)),
        // Retired before its time came: it never signs, and the former one goes on.
        (&early, 1_199, "sp", "a", 2, Some(1_200)),
        (&early, 1_200, "sw", "a", 1, None),
        (&early, 1_600, "sw", "a", 1, None),
        (&at_once, 1_999, "rs", "b", 2, Some(2_000)),
        (&at_once, 2_000, "ws", "b", 1, None),
        (&together, 5, "rs", "b", 2, Some(5 + 3_660)),
        // Without a manifest nothing says when it may go.
        (&names, 1_000_000, "rs", "b", 2, None),
        (&thrice, 150, "rsp", "b", 3, Some(200)),
        (&thrice, 100 + 3_660, "wrs", "c", 2, Some(200 + 3_660)),
    ];
    for (set, now, expected, signing, published, next_change) in cases {
        let at = set.at(now);
        assert_eq!(states(set, now), expected, "{now}: {set:?}");
        assert_eq!(at.signing.unwrap().kid, signing, "{now}: {set:?}");
        assert_eq!(at.published.len(), published, "{now}: {set:?}");
        assert_eq!(at.next_change, next_change, "{now}: {set:?}");
    }
    assert_eq!(KeySet::default().at(0).signing, None);
}

#[test]
fn the_key_that_signs_is_not_retired_before_another_does() {
    let mut keys = set(vec![entry("a", 0, 0)]);
    let refused = keys.retire("a", 100, false).unwrap_err();
    assert_eq!(refused.code(), "key_set_still_signing");
    assert_eq!(
        keys.retire("x", 100, false).unwrap_err().code(),
        "key_set_unknown_key"
    );
    keys.add(entry("b", 0, 0), 100, false).unwrap();
    assert_eq!(keys.keys[1].signs_from, 700, "published before it signs");
    assert!(keys.retire("a", 699, true).is_err());
    keys.retire("a", 700, true).unwrap();
    assert_eq!(states(&keys, 700), "ws");
    assert_eq!(
        keys.add(entry("b", 0, 0), 800, true).unwrap_err().code(),
        "key_set_known_key"
    );
}

#[test]
fn a_key_does_not_sign_again_when_its_successor_is_pruned() {
    let mut keys = set(vec![
        entry("a", 0, 0),
        entry("b", 0, 100),
        entry("c", 0, 100),
    ]);
    keys.keys[1].withdrawn = Some(150);
    keys.keys[2].withdrawn = Some(150);
    keys.add(entry("d", 0, 0), 160, true).unwrap();
    let gone = keys.take_withdrawn(170);
    assert_eq!(gone.len(), 2);
    assert_eq!(states(&keys, 170), "rs");
    keys.keys.pop();
    assert_eq!(states(&keys, 170), "r", "its retirement is written down");
}

#[test]
fn a_rotation_is_due_one_publication_before_the_period_ends() {
    let mut keys = set(vec![entry("a", 0, 0)]);
    assert!(!keys.rotation_due(86_400 - 601, 86_400));
    assert!(keys.rotation_due(86_400 - 600, 86_400));
    keys.add(entry("b", 0, 0), 86_400 - 600, false).unwrap();
    assert!(!keys.rotation_due(86_400, 86_400), "one is on its way");
    assert_eq!(keys.keys[1].signs_from, 86_400);
    assert!(KeySet::default().rotation_due(0, 86_400));
}

#[test]
fn manifests_that_cannot_be_right_are_refused() {
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let good = set(vec![entry(kid, 0, 0)]);
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<KeySet>(&text).unwrap(), good);
    assert_eq!(good.check(), Ok(()));
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        (".pem\"", "/../x\""),
        ("\"file\":\"", "\"file\":\"."),
        ("\"kid\":\"", "\"kid\":\"x"),
        ("\"keep_retired\":", "\"keep_retired\":-"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let set: KeySet = serde_json::from_str(&changed).unwrap();
        assert!(set.check().is_err(), "{changed}");
    }
    let twice = set(vec![entry(kid, 0, 0), entry(kid, 0, 0)]);
    assert!(twice.check().is_err());
    for text in [
        text.replace("ES256", "HS256"),
        text.replace("\"alg\"", "\"algo\""),
    ] {
        assert!(serde_json::from_str::<KeySet>(&text).is_err(), "{text}");
    }
}

/// A folder that goes with its handle.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> (Self, KeyFolder) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tokensmith-keys-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        (Self(path.clone()), KeyFolder::new(path.join("keys")))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn names(folder: &KeyFolder) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_key_goes_from_its_publication_to_its_end() {
    let (_scratch, folder) = Scratch::new();
    assert_eq!(folder.set().unwrap_err().code(), "key_set_file");
    let first = folder.load_or_create(1_000).unwrap();
    let old = first.signing(1_000).unwrap().kid().to_owned();
    assert!(!names(&folder).contains(&MANIFEST.to_owned()));
    for (path, mode) in [
        (folder.path().to_owned(), 0o700),
        (folder.path().join(&first.set.keys[0].file), 0o600),
    ] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
    }
    let new = folder
        .rotate(KeyKind::EdDsa, 2_000, Begin::WhenKnown)
        .unwrap();
    let loaded = folder.load(2_000, Some(&first)).unwrap();
    assert_eq!(loaded.signing(2_599).unwrap().kid(), old);
    assert_eq!(loaded.signing(2_600).unwrap().kid(), new.kid);
    assert_eq!(loaded.published(2_000).len(), 2);
    let end = 2_600 + DEFAULT_KEEP_RETIRED;
    assert_eq!(folder.tidy(end - 1).unwrap(), 0);
    assert_eq!(folder.tidy(end).unwrap(), 1);
    assert_eq!(folder.load(end, None).unwrap().published(end).len(), 1);
    let pem = first.set.keys[0].file.clone();
    assert!(names(&folder).contains(&format!("{pem}.retired")));
    let pruned = folder.prune(end).unwrap();
    assert_eq!(
        pruned.iter().map(|key| &key.kid).collect::<Vec<_>>(),
        [&old]
    );
    assert_eq!(names(&folder), [".lock", new.file.as_str(), MANIFEST]);
    assert_eq!(folder.signing_key(end).unwrap().kid(), new.kid);
}

#[test]
fn older_folders_keep_working() {
    let (_scratch, folder) = Scratch::new();
    let only = folder.load_or_create(1_000).unwrap();
    let (_other, made_later) = Scratch::new();
    let second = made_later.load_or_create(2_000).unwrap();
    let file = &second.set.keys[0].file;
    std::fs::copy(made_later.path().join(file), folder.path().join(file)).unwrap();
    let loaded = folder.load(9_999_999, None).unwrap();
    assert_eq!(loaded.published(9_999_999).len(), 2);
    assert_eq!(
        loaded.signing(9_999_999).unwrap().kid(),
        second.set.keys[0].kid
    );
    assert_eq!(loaded.set.keys[1].published, 2_000);
    // With the first change the older one has an end.
    folder
        .rotate(KeyKind::Es256, 10_000_000, Begin::AtOnce)
        .unwrap();
    let status = folder.set().unwrap();
    assert_eq!(status.keys[0].kid, only.set.keys[0].kid);
    assert_eq!(status.keys[0].retired, Some(10_000_000));
    assert_eq!(states(&status, 10_000_000), "rrs");
}

#[test]
fn imported_keys_sign_with_the_algorithm_asked_for() {
    let (_scratch, folder) = Scratch::new();
    let (_other, source) = Scratch::new();
    folder.load_or_create(1).unwrap();
    let made = source
        .rotate(KeyKind::Rs256(RsaSize::Bits2048), 1, Begin::WhenKnown)
        .unwrap();
    let file = source.path().join(&made.file);
    let wrong = folder.import(&file, Some(Algorithm::ES256), 2, Begin::AtOnce);
    assert_eq!(wrong.unwrap_err().code(), "key_algorithm");
    let entry = folder
        .import(&file, Some(Algorithm::PS256), 2, Begin::AtOnce)
        .unwrap();
    assert!(entry.file.ends_with("-ps256.pem"));
    let key = folder.signing_key(2).unwrap();
    assert_eq!(key.algorithm(), Algorithm::PS256);
    let again = folder.import(&file, None, 3, Begin::AtOnce);
    assert_eq!(again.unwrap_err().code(), "key_set_known_key");
}

#[test]
fn a_manifest_and_its_files_have_to_agree() {
    let (_scratch, folder) = Scratch::new();
    let first = folder.rotate(KeyKind::Es256, 1, Begin::AtOnce).unwrap();
    let second = folder.rotate(KeyKind::Es256, 2, Begin::AtOnce).unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(at(&first.file), at(&second.file)).unwrap();
    assert_eq!(
        folder.load(2, None).unwrap_err().code(),
        "key_set_other_key"
    );
    std::fs::remove_file(at(&second.file)).unwrap();
    assert_eq!(folder.load(2, None).unwrap_err().code(), "key_file");
    std::fs::write(at(MANIFEST), "{}").unwrap();
    assert_eq!(folder.set().unwrap_err().code(), "key_set_manifest");
}

#[test]
fn of_many_who_rotate_at_once_one_makes_the_key() {
    let (_scratch, folder) = Scratch::new();
    let made: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    folder.load_or_create(1_000).unwrap();
                    match folder.rotate_if_due(KeyKind::Es256, 90_000, 86_400) {
                        Ok(Some(_)) => 1_usize,
                        Ok(None) => 0,
                        Err(error) => {
                            assert_eq!(error.code(), "key_set_locked");
                            0
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(made, 1);
    assert_eq!(folder.set().unwrap().keys.len(), 2);
}

#[test]
fn rotation_goes_on_past_any_number_of_withdrawn_keys_and_stops_at_what_a_set_may_have() {
    let kid = |number: i64| {
        let mut bytes = [0_u8; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        tokensmith_engine::jose::encode_base64url(bytes)
    };
    let mut keys = set(Vec::new());
    for number in 0..300 {
        let key = entry(&kid(number), 0, 0);
        keys.add(key, number * 86_400, false).unwrap();
    }
    assert_eq!(keys.keys.len(), 300);
    let now = 300 * 86_400;
    let refused = (300..600).find_map(|number| {
        let key = entry(&kid(number), 0, 0);
        keys.add(key, now, false).err()
    });
    assert_eq!(refused.unwrap().code(), "key_set_full");
}

#[test]
fn a_key_that_does_not_open_keeps_no_withdrawal_back() {
    let (_scratch, folder) = Scratch::new();
    let loaded = folder.load_or_create(0).unwrap();
    let first = loaded.set.keys[0].kid.clone();
    folder.rotate(KeyKind::Es256, 10, Begin::AtOnce).unwrap();
    let loaded = folder.load(10, Some(&loaded)).unwrap();
    let third = folder.rotate(KeyKind::Es256, 20, Begin::WhenKnown).unwrap();
    std::fs::remove_file(folder.path().join(&third.file)).unwrap();
    folder.retire(&first, 30, true).unwrap();
    let followed = folder.load(30, Some(&loaded)).unwrap();
    assert!(followed.key(&first).is_none() && followed.signing(30).is_some());
    assert!(folder.signing_key(30).is_ok());
    assert_eq!(folder.load(30, None).unwrap_err().code(), "key_file");
}

#[test]
fn a_command_that_is_refused_writes_no_manifest() {
    let (_scratch, folder) = Scratch::new();
    let loaded = folder.load_or_create(0).unwrap();
    let own = loaded.set.keys[0].kid.clone();
    assert_eq!(
        folder.retire("typo", 5, false).unwrap_err().code(),
        "key_set_unknown_key"
    );
    assert_eq!(
        folder.retire(&own, 5, false).unwrap_err().code(),
        "key_set_still_signing"
    );
    assert!(!folder.path().join(MANIFEST).exists());
}

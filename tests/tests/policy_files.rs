//! Which files a policy is read from, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokensmith::policy_files::{PolicyFileError, PolicyPaths, PolicySources, read};
use tokensmith_engine::policy::BASELINE_MODEL;
use tokensmith_tests::scratch::Scratch;

fn rules(paths: &[&Path]) -> Result<PolicySources, PolicyFileError> {
    read(&PolicyPaths {
        rules: paths.iter().map(|path| path.to_path_buf()).collect(),
        ..PolicyPaths::default()
    })
}

/// The last parts of the names of the rules.
fn names(sources: &PolicySources) -> Vec<&str> {
    sources
        .rules
        .iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap())
        .collect()
}

/// Makes `folder` what Kubernetes makes of a ConfigMap, or changes it, in the same steps.
fn config_map(folder: &Path, version: &str, files: &[(&str, &str)]) {
    let former = fs::read_link(folder.join("..data")).ok();
    let inner = format!("..{version}");
    fs::create_dir_all(folder.join(&inner)).unwrap();
    for (name, text) in files {
        fs::write(folder.join(&inner).join(name), text).unwrap();
    }
    symlink(&inner, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    for (name, _) in files {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    if let Some(former) = former {
        fs::remove_dir_all(folder.join(former)).unwrap();
    }
}

#[test]
fn a_folder_gives_its_csv_files_in_byte_order() {
    let scratch = Scratch::new();
    for name in [
        "f/b.csv",
        "f/a.csv",
        "f/B.csv",
        "f/é.csv",
        "f/.draft.csv",
        "f/a.csv~",
        "f/A.CSV",
        "f/below/c.csv",
        "f/folder.csv/d.csv",
    ] {
        scratch.write(name, &format!("p, {name}, b, c"));
    }
    let alone = scratch.write("z.rules", "\u{feff}p, a, b, c");
    let folder = scratch.path().join("f");
    let sources = rules(&[&alone, &folder]).unwrap();
    assert_eq!(
        names(&sources),
        ["z.rules", "B.csv", "a.csv", "b.csv", "é.csv"]
    );
    assert_eq!(sources.rules[0].1, "p, a, b, c");
    assert_eq!(
        sources.rules[1].0,
        folder.join("B.csv").display().to_string()
    );
    let empty = scratch.path().join("f/below/none");
    fs::create_dir(&empty).unwrap();
    assert!(rules(&[&empty]).unwrap().rules.is_empty());
}

#[test]
fn a_config_map_is_read() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("volume");
    let files = [("rbac.csv", "p, a, b, c"), ("model.conf", BASELINE_MODEL)];
    config_map(&folder, "2024_01", &files);
    let paths = PolicyPaths::in_folder(&folder).unwrap();
    assert!(!paths.baseline);
    let sources = read(&paths).unwrap();
    assert_eq!(names(&sources), ["rbac.csv"]);
    assert_eq!(sources.model.1, BASELINE_MODEL);
    assert!(sources.compile().is_ok());
    // Its files by themselves, and the folder by way of a link.
    assert!(rules(&[&folder.join("rbac.csv")]).is_ok());
    symlink("volume", scratch.path().join("link")).unwrap();
    let linked = rules(&[&scratch.path().join("link")]).unwrap();
    assert_eq!(linked.rules[0].1, "p, a, b, c");
}

#[test]
fn links_out_of_the_folder_are_named() {
    let scratch = Scratch::new();
    let outside = scratch.write("outside/secret.csv", "p, a, b, c");
    let folder = scratch.path().join("f");
    fs::create_dir(&folder).unwrap();
    for target in [
        outside.as_path(),
        Path::new("../outside/secret.csv"),
        Path::new("nothing.csv"),
    ] {
        let link = folder.join("link.csv");
        symlink(target, &link).unwrap();
        let target = target.file_name().unwrap().to_str().unwrap();
        for named in [&folder, &link] {
            let error = rules(&[named]).unwrap_err();
            assert_eq!(error.code(), "policy_file_link", "{error}");
            let message = error.to_string();
            assert!(message.contains(&link.display().to_string()), "{message}");
            assert!(message.contains(target), "{message}");
        }
        fs::remove_file(&link).unwrap();
    }
    symlink(&outside, folder.join("model.conf")).unwrap();
    let paths = PolicyPaths::in_folder(&folder).unwrap();
    assert_eq!(read(&paths).unwrap_err().code(), "policy_file_link");
    // A link that nothing is read from does not matter.
    symlink(&outside, folder.join("notes.txt")).unwrap();
    assert!(rules(&[&folder]).is_ok());
}

#[test]
fn what_is_no_text_is_refused() {
    let scratch = Scratch::new();
    let bytes = scratch.path().join("bytes.csv");
    fs::write(&bytes, b"\xef\xbb\xbfp, \xc3\xa9, \xff").unwrap();
    let error = rules(&[&bytes]).unwrap_err();
    assert!(
        matches!(error, PolicyFileError::Encoding { offset: 10, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("bytes.csv` is not UTF-8 at byte 10")
    );
    let pipe = scratch.path().join("pipe.csv");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let cases = [
        (pipe, "policy_file_kind"),
        (scratch.path().join("missing.csv"), "policy_file_read"),
        (scratch.path().join("missing/a.csv"), "policy_file_read"),
        (bytes.join("a.csv"), "policy_file_read"),
    ];
    for (path, code) in cases {
        let error = rules(&[&path]).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
    let folder_as_model = PolicyPaths {
        model: Some(scratch.path().to_owned()),
        ..PolicyPaths::default()
    };
    assert_eq!(
        read(&folder_as_model).unwrap_err().code(),
        "policy_file_kind"
    );
}

#[test]
fn sizes_and_numbers_are_limited() {
    let scratch = Scratch::new();
    let large = scratch.path().join("large.csv");
    let file = File::create(&large).unwrap();
    file.set_len(64 * 1024 * 1024 + 1).unwrap();
    assert_eq!(rules(&[&large]).unwrap_err().code(), "policy_file_size");
    file.set_len(64 * 1024 * 1024).unwrap();
    assert!(rules(&[&large]).is_ok());
    let folder = scratch.path().join("many");
    for number in 0..1000 {
        scratch.write(&format!("many/{number:04}.csv"), "");
    }
    assert_eq!(rules(&[&folder]).unwrap().rules.len(), 1000);
    let error = rules(&[&folder, &folder.join("0000.csv")]).unwrap_err();
    assert_eq!(error.code(), "policy_file_count");
    scratch.write("many/1000.csv", "");
    let error = rules(&[&folder]).unwrap_err();
    assert_eq!(error.code(), "policy_file_count");
}

#[test]
fn fingerprints_tell_texts_and_names_apart() {
    let sources = |rules: &[(&str, &str)]| PolicySources {
        model: ("m".to_owned(), "x".to_owned()),
        rules: rules
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
    };
    let one = sources(&[("a", "bc"), ("d", "")]).fingerprint();
    assert_eq!(one, sources(&[("a", "bc"), ("d", "")]).fingerprint());
    let others: [&[(&str, &str)]; 4] = [
        &[("a", "bc")],
        &[("ab", "c"), ("d", "")],
        &[("a", "b"), ("cd", "")],
        &[("d", ""), ("a", "bc")],
    ];
    for other in others {
        assert_ne!(sources(other).fingerprint(), one, "{other:?}");
    }
}

#[test]
fn old_and_new_are_never_mixed() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("volume");
    let write = |version: usize| {
        let text = format!("p, version-{version}, b, c");
        let files = [("a.csv", text.as_str()), ("b.csv", text.as_str())];
        config_map(&folder, &format!("data_{version}"), &files);
    };
    write(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for version in 1..200 {
                write(version);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut good = 0;
        while !writer.is_finished() {
            if let Ok(sources) = rules(&[&folder]) {
                assert_eq!(sources.rules.len(), 2);
                assert_eq!(sources.rules[0].1, sources.rules[1].1);
                good += 1;
            }
        }
        assert!(good > 0);
    });
    let last = rules(&[&folder]).unwrap();
    assert_eq!(last.rules[0].1, "p, version-199, b, c");
}

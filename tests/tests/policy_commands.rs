//! `tokensmith policy`: what each command answers, as text and as JSON, and its exit codes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tokensmith_engine::policy::BASELINE_MODEL;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{run, tokensmith};

const RULES: &str = "p, reader, doc, read\np, writer, doc, write\np, ann, plan, edit\n";
const GROUPS: &str = "g, ann, team\ng, team, reader\n";

/// Exit code, standard output and standard error of `tokensmith policy`.
fn policy(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(tokensmith(scratch.path()).arg("policy").args(arguments));
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// As [`policy`], with an answer in JSON.
fn answer(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, output, errors) = policy(scratch, arguments);
    let value = serde_json::from_str(&output)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}{errors}"));
    (code, value)
}

/// A folder with the rules above.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("policy.csv", RULES);
    scratch.write("groups.csv", GROUPS);
    scratch
}

/// Arguments that name the rules above, behind a command.
fn with_rules<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        command,
        "--policy",
        "policy.csv",
        "--grouping",
        "groups.csv",
    ];
    arguments.extend(more);
    arguments
}

#[test]
fn eval_answers_by_its_exit_code() {
    let scratch = scratch();
    let eval = |more: &[&str]| policy(&scratch, &with_rules("eval", more));
    let (code, output, _) = eval(&["ann", "doc", "read"]);
    assert_eq!((code, output.as_str()), (Some(0), "allowed\n"));
    let (code, output, _) = eval(&["ann", "doc", "write"]);
    assert_eq!((code, output.as_str()), (Some(1), "denied\n"));
    let (code, output, errors) = eval(&["ann", "doc"]);
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("request has 2 values"), "{errors}");
    let eval = |more: &[&str]| answer(&scratch, &with_rules("eval", more));
    assert_eq!(
        eval(&["--json", "ann", "doc", "read"]),
        (Some(0), json!({"allowed": true}))
    );
    let (code, value) = eval(&["--json", "ann", "doc"]);
    assert_eq!((code, &value["code"]), (Some(1), &json!("request_size")));
    let (code, value) = eval(&["--json", "--context", "2", "ann", "doc", "read"]);
    assert_eq!((code, &value["code"]), (Some(1), &json!("request_context")));
    // Neither a request nor `--batch`, and both.
    assert_eq!(policy(&scratch, &["eval"]).0, Some(2));
    assert_eq!(policy(&scratch, &["eval", "--batch", "ann"]).0, Some(2));
}

#[test]
fn eval_explains() {
    let scratch = scratch();
    let (code, value) = answer(
        &scratch,
        &with_rules("eval", &["--json", "--explain", "ann", "doc", "read"]),
    );
    let expected = json!({
        "allowed": true,
        "effect": "allow-override",
        "rows": [{
            "kind": "p",
            "values": ["reader", "doc", "read"],
            "effect": "allow",
            "source": "policy.csv",
            "line": 1,
            "decisive": true,
            "roles": [["ann", "team", "reader"]],
        }],
    });
    assert_eq!((code, value), (Some(0), expected));
    let (_, output, _) = policy(
        &scratch,
        &with_rules("eval", &["--explain", "ann", "doc", "read"]),
    );
    assert_eq!(
        output,
        "allowed (effect `allow-override`)\n\n\
         ROW                   EFFECT  DECIDES  AT            THROUGH\n\
         p, reader, doc, read  allow   yes      policy.csv:1  ann -> team -> reader\n"
    );
    let (code, output, _) = policy(&scratch, &with_rules("eval", &["--explain", "x", "y", "z"]));
    assert_eq!(
        (code, output.as_str()),
        (
            Some(1),
            "denied: no row matches (effect `allow-override`)\n"
        )
    );
}

#[test]
fn eval_takes_objects_and_contexts() {
    let scratch = Scratch::new();
    let model = "[request_definition]\nr = sub, obj\nr2 = sub\n[policy_definition]\np = obj\n\
        p2 = sub\n[policy_effect]\ne = some(where (p.eft == allow))\n\
        e2 = some(where (p.eft == allow))\n[matchers]\nm = r.sub.Age > 18 && r.obj == p.obj\n\
        m2 = r2.sub == p2.sub\n";
    scratch.write("model.conf", model);
    scratch.write("rules.csv", "p, bar\np2, ann\n");
    let files = ["--model", "model.conf", "--policy", "rules.csv"];
    let eval = |more: &[&str]| policy(&scratch, &[&["eval"][..], &files, more].concat());
    assert_eq!(eval(&["{\"Age\": 19}", "bar"]).0, Some(0));
    assert_eq!(eval(&["{\"Age\": 18}", "bar"]).0, Some(1));
    assert_eq!(eval(&["--context", "2", "ann"]).0, Some(0));
    let (code, _, errors) = eval(&["{Age: 19}", "bar"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("request value `{Age: 19}`"), "{errors}");

    let input = "[{\"Age\": 19}, \"bar\"]\n[{\"Age\": 1}, \"bar\"]\n[{}, \"bar\"]\n{}\n";
    let mut child = tokensmith(scratch.path())
        .args(["policy", "eval", "--batch"])
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0], json!({"allowed": true}));
    assert_eq!(lines[1], json!({"allowed": false}));
    assert_eq!(lines[2]["code"], "request_attribute");
    assert_eq!(lines[3]["code"], "bad_request");
    assert!(lines[2]["error"].is_string() && lines[3]["error"].is_string());
}

#[test]
fn names_may_be_patterns() {
    let scratch = Scratch::new();
    scratch.write("rules.csv", "p, reader, doc, read\ng, /team/*, reader\n");
    let eval = |more: &[&str]| {
        let mut arguments = vec!["eval", "--policy", "rules.csv"];
        arguments.extend(more);
        arguments.extend(["/team/ann", "doc", "read"]);
        policy(&scratch, &arguments)
    };
    assert_eq!(eval(&[]).0, Some(1));
    assert_eq!(eval(&["--role-matching", "g=keyMatch"]).0, Some(0));
    for wrong in ["g2=keyMatch", "g=nonsense", "g"] {
        let (code, _, errors) = eval(&["--role-matching", wrong]);
        assert_eq!(code, Some(2), "{wrong}: {errors}");
    }
    // A relation without domains has none to match.
    assert_eq!(eval(&["--domain-matching", "g=keyMatch"]).0, Some(1));
}

#[test]
fn explain_says_why() {
    let scratch = scratch();
    let explain = |more: &[&str]| policy(&scratch, &with_rules("explain", more));
    let (code, output, _) = explain(&["ann", "doc", "read"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        output,
        "allowed: ann doc read\n\
         decided by: p, reader, doc, read (policy.csv:1)\n\
         through: ann -> team -> reader\n\n\
         rows that match:\n\
         ROW                   EFFECT  DECIDES  AT            THROUGH\n\
         p, reader, doc, read  allow   yes      policy.csv:1  ann -> team -> reader\n"
    );
    let (code, output, _) = explain(&["ann", "doc", "write"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        output,
        "denied: ann doc write\n\
         decided by: the effect `allow-override`, as no row matches\n\n\
         rows that match but for one value:\n\
         ROW                    AT            BUT\n\
         p, reader, doc, read   policy.csv:1  act is `read`, not `write`\n\
         p, writer, doc, write  policy.csv:2  sub is `writer`, not `ann`\n"
    );
    let (code, value) = answer(
        &scratch,
        &with_rules("explain", &["--json", "ann", "doc", "write"]),
    );
    assert_eq!((code, &value["allowed"]), (Some(1), &json!(false)));
    assert_eq!(value["near_misses"][1]["field"], "sub");
    assert_eq!(value["near_misses"][1]["row"]["line"], 2);
    assert!(value["policy_version"].as_str().unwrap().starts_with("v2:"));
    let (code, _, errors) = explain(&["ann"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("request has 1 values"), "{errors}");
    assert_eq!(policy(&scratch, &["explain"]).0, Some(2));
}

#[test]
fn who_can_lists_subjects() {
    let scratch = scratch();
    let who = |more: &[&str]| policy(&scratch, &with_rules("who-can", more));
    let (code, output, _) = who(&["doc", "read"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        output,
        "SUBJECT  THROUGH                ROW                   AT\n\
         ann      ann -> team -> reader  p, reader, doc, read  policy.csv:1\n\
         reader   reader                 p, reader, doc, read  policy.csv:1\n\
         team     team -> reader         p, reader, doc, read  policy.csv:1\n"
    );
    assert_eq!(who(&["none", "read"]).1, "nobody\n");
    let (code, value) = answer(
        &scratch,
        &with_rules("who-can", &["--json", "plan", "edit"]),
    );
    assert_eq!(code, Some(0));
    assert_eq!(value["grants"][0]["subject"], "ann");
    assert_eq!(value["grants"][0]["row"]["line"], 3);
    assert_eq!(value["grants"].as_array().unwrap().len(), 1);
    assert_eq!(who(&["doc"]).0, Some(2));
    scratch.write(
        "model.conf",
        &BASELINE_MODEL.replace("r = sub, obj, act", "r = sub, obj, act, more"),
    );
    let (code, _, errors) = who(&["--model", "model.conf", "doc", "read"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("the model needs 4"), "{errors}");
}

#[test]
fn diff_names_what_changes() {
    fn diff<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let from = [
            "diff",
            "--from-policy",
            "policy.csv",
            "--from-grouping",
            "groups.csv",
        ];
        [&from[..], more].concat()
    }
    let scratch = scratch();
    scratch.write("new.csv", "p, reader, doc, read\np, writer, doc, write\n");
    let same = diff(&["--policy", "policy.csv", "--grouping", "groups.csv"]);
    let (code, output, _) = policy(&scratch, &same);
    assert_eq!(code, Some(0));
    assert!(
        output.ends_with("0 of 0 requests are answered differently\n"),
        "{output}"
    );
    let other = diff(&["--policy", "new.csv"]);
    let (code, output, _) = policy(&scratch, &other);
    assert_eq!(code, Some(1));
    let table: Vec<&str> = output.lines().skip(3).take(4).collect();
    assert_eq!(
        table,
        [
            "REQUEST        BEFORE  AFTER  BECAUSE",
            "ann doc read   allow   deny   old p, reader, doc, read (policy.csv:1)",
            "ann plan edit  allow   deny   old p, ann, plan, edit (policy.csv:3)",
            "team doc read  allow   deny   old p, reader, doc, read (policy.csv:1)",
        ]
    );
    let (code, value) = answer(&scratch, &diff(&["--policy", "new.csv", "--json"]));
    assert_eq!((code, &value["complete"]), (Some(1), &json!(true)));
    assert_eq!(
        value["changes"][0]["request"],
        json!(["ann", "doc", "read"])
    );
    assert_eq!(value["changes"][0]["before"], "allow");
    assert_eq!(value["changes"][0]["after"], "deny");
    assert_eq!(value["changes"][0]["because"][0]["policy"], "old");
    assert_eq!(value["changes"][0]["because"][0]["row"]["line"], 1);
    let (_, value) = answer(
        &scratch,
        &diff(&["--policy", "new.csv", "--json", "--limit", "2"]),
    );
    assert_eq!(value["complete"], false);
    scratch.write("model.conf", &BASELINE_MODEL.replace("act", "verb"));
    let (code, _, errors) = policy(&scratch, &diff(&["--model", "model.conf"]));
    assert_eq!(code, Some(2));
    assert!(errors.contains("different requests"), "{errors}");
}

#[test]
fn lint_finds_mistakes() {
    let scratch = Scratch::new();
    let (code, output, _) = policy(&scratch, &["lint"]);
    assert_eq!((code, output.as_str()), (Some(0), "no findings\n"));
    scratch.write("warn.csv", "p, role:typo, doc, read\np, ann, *, read\n");
    let lint = |more: &[&str]| {
        policy(
            &scratch,
            &[&["lint", "--policy", "warn.csv"][..], more].concat(),
        )
    };
    let (code, output, _) = lint(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(
        output,
        "AT          SEVERITY  CODE              MESSAGE\n\
         warn.csv:1  warning   unknown_role      no token is known to have `role:typo`, and no \
         grouping names it\n\
         warn.csv:2  warning   wildcard_literal  `*` in `p, ann, *, read` is compared as it is, \
         with `obj`: it stands for nothing else\n\n\
         errors: 0, warnings: 2, notes: 0\n"
    );
    assert_eq!(lint(&["--strict"]).0, Some(1));
    let (_, value) = answer(
        &scratch,
        &[
            "lint",
            "--policy",
            "warn.csv",
            "--known-role",
            "typo",
            "--json",
        ],
    );
    assert_eq!(
        (&value["errors"], &value["warnings"], &value["notes"]),
        (&json!(0), &json!(1), &json!(0))
    );
    assert_eq!(value["findings"][0]["code"], "wildcard_literal");
    assert_eq!(value["findings"][0]["severity"], "warning");
    assert_eq!(value["findings"][0]["source"], "warn.csv");
    assert_eq!(value["findings"][0]["line"], 2);
    scratch.write("bad.csv", "p, a, doc, read\ng, a, b\ng, b, a\n");
    let (code, value) = answer(&scratch, &["lint", "--policy", "bad.csv", "--json"]);
    assert_eq!((code, &value["errors"]), (Some(1), &json!(1)));
    assert_eq!(value["findings"][0]["code"], "role_cycle");
}

#[test]
fn graph_draws_roles() {
    let scratch = scratch();
    let (code, output, _) = policy(&scratch, &with_rules("graph", &[]));
    assert_eq!(code, Some(0));
    assert!(
        output.starts_with("flowchart LR\n    n0(\"ann\")\n"),
        "{output}"
    );
    let (code, output, _) = policy(&scratch, &with_rules("graph", &["--format", "svg"]));
    assert_eq!(code, Some(0));
    assert!(
        output.starts_with("<svg ") && output.ends_with("</svg>\n"),
        "{output}"
    );
    let (code, value) = answer(
        &scratch,
        &with_rules("graph", &["--json", "--subject", "team"]),
    );
    let expected = json!({
        "nodes": [
            {"name": "doc: read", "kind": "grant"},
            {"name": "reader", "kind": "role"},
            {"name": "team", "kind": "member"},
        ],
        "edges": [
            {"from": 1, "to": 0, "label": ""},
            {"from": 2, "to": 1, "label": ""},
        ],
    });
    assert_eq!((code, value), (Some(0), expected));

    let written = with_rules("graph", &["--format", "svg", "--output", "roles.svg"]);
    let (code, printed, _) = policy(&scratch, &written);
    assert_eq!((code, printed.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(scratch.path().join("roles.svg")).unwrap();
    assert_eq!(text, output);
    // A file that cannot be written leaves nothing behind.
    std::fs::create_dir(scratch.path().join("folder")).unwrap();
    let refused = with_rules("graph", &["--output", "folder"]);
    let (code, _, errors) = policy(&scratch, &refused);
    assert_eq!(code, Some(1));
    assert!(errors.contains("`folder`"), "{errors}");
    let mut names: Vec<String> = std::fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["folder", "groups.csv", "policy.csv", "roles.svg"]);

    let unknown = with_rules("graph", &["--subject", "nobody"]);
    assert_eq!(policy(&scratch, &unknown).0, Some(2));
    let both = with_rules("graph", &["--json", "--format", "svg"]);
    assert_eq!(policy(&scratch, &both).0, Some(2));
    let many: String = (0..301).map(|own| format!("g, u{own}, all\n")).collect();
    scratch.write("many.csv", &many);
    let (code, _, errors) = policy(&scratch, &["graph", "--policy", "many.csv"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("narrow it to one subject"), "{errors}");
}

#[test]
fn check_and_version_answer_in_json_too() {
    let scratch = scratch();
    let (code, value) = answer(&scratch, &with_rules("check", &["--json"]));
    assert_eq!(
        (code, &value["ok"], &value["rules"]),
        (Some(0), &json!(true), &json!(3))
    );
    let (code, version, _) = policy(&scratch, &with_rules("version", &[]));
    assert_eq!(code, Some(0));
    assert_eq!(value["policy_version"], version.trim_end());
    let (_, value) = answer(&scratch, &with_rules("version", &["--json"]));
    assert_eq!(value["policy_version"], version.trim_end());
}

#[test]
fn a_policy_that_does_not_load_is_named_by_its_place() {
    let scratch = Scratch::new();
    scratch.write("bad.csv", "p, a, b, c\np, a, \"b\n");
    for command in [
        vec!["eval", "a", "b", "c"],
        vec!["explain", "a", "b", "c"],
        vec!["who-can", "b", "c"],
        vec!["diff"],
        vec!["lint"],
        vec!["graph"],
        vec!["check"],
        vec!["version"],
    ] {
        let arguments = [command.as_slice(), &["--policy", "bad.csv"]].concat();
        let (code, output, errors) = policy(&scratch, &arguments);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{command:?}");
        assert!(errors.contains("bad.csv:2:7: "), "{command:?}: {errors}");
        let arguments = [command.as_slice(), &["--policy", "none.csv"]].concat();
        let (code, _, errors) = policy(&scratch, &arguments);
        assert_eq!(code, Some(1), "{command:?}");
        assert!(errors.contains("`none.csv`"), "{command:?}: {errors}");
    }
}

#[test]
fn versions_of_the_go_release() {
    let scratch = Scratch::new();
    // Recorded from that release.
    let file = scratch.write("f1.csv", "p, role:viewer, a, read\n");
    let grouping = scratch.write("g1.csv", "g, user:alice, role:viewer\n");
    let folder = scratch.path().join("policies");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("20.csv"), "p, role:viewer, b, read").unwrap();
    std::fs::write(folder.join("10.csv"), "p, role:viewer, a, read\n").unwrap();
    std::fs::write(folder.join("note.txt"), "not a rule").unwrap();
    let [file, grouping, folder] = [file, grouping, folder].map(|path| path.display().to_string());
    for (arguments, expected) in [
        (
            vec![],
            "0d822a9914e3530dad620e4cc378ec8ecbe7af87b1cc3e192f31c59f41a02e70",
        ),
        (
            vec!["--policy", &file],
            "c05ba2f4a78a0cfa696556e96a2c56ca05c1c7c5425e7b22db15b038096eb506",
        ),
        (
            vec!["--policy", &file, "--grouping", &grouping],
            "2eb149a311fcb62e81f6ce26d19abf9f277f966c5df134e801f5bc8124ccdfb1",
        ),
        (
            vec!["--grouping", &grouping],
            "c1398fdfd3c3315cfecf8bf7b394d62c888e6f656d570e5319675ead340e3bda",
        ),
        (
            vec!["--policy", &folder],
            "36273ad5a628ccf3255ebdeb58a059c02bdb12dc5d2bd3ba915f50e29ca4f9e9",
        ),
        (
            vec!["--v1-dir", &folder],
            "2a82fbb39a3b0d2ad6df907b18a63edf8159ef1bb18c950680fe2c7d370bd5b2",
        ),
    ] {
        let output = tokensmith(scratch.path())
            .args(["policy", "version", "--v1"])
            .args(&arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.trim(), expected, "{arguments:?}");
    }
    for wrong in [
        vec!["--v1", "--policy", &file, "--policy", &file],
        vec!["--v1", "--model", &file],
        vec!["--v1-dir", &folder],
    ] {
        let output = tokensmith(scratch.path())
            .args(["policy", "version"])
            .args(&wrong)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

//! Commands that need no service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tokensmith_engine::jose::{Algorithm, encode_base64url};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{run, tokensmith};
use tokensmith_tests::tokens::{Signer, claims, now};

/// Exit code and standard output of a command that reads `input`.
fn piped(scratch: &Scratch, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = tokensmith(scratch.path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn token_verify_answers_and_exits_by_the_verdict() {
    let scratch = Scratch::new();
    let signer = Signer::new(Algorithm::PS256);
    let jwks = json!({"keys": [signer.jwk.to_json()]}).to_string();
    let jwks = scratch.write("jwks.json", &jwks).display().to_string();
    let verify = |token: &str, more: &[&str]| {
        let mut arguments = vec!["token", "verify", "--jwks", &jwks];
        arguments.extend(["--issuer", "https://issuer.test", "--audience", "svc", "-"]);
        arguments.extend(more);
        let (code, output) = piped(&scratch, &arguments, token);
        let value: Value = serde_json::from_str(&output).unwrap_or_default();
        (code, value)
    };
    let token = signer.sign(&claims(&json!({})));
    let (code, answer) = verify(&token, &[]);
    assert_eq!(
        (code, &answer["valid"], &answer["alg"]),
        (Some(0), &json!(true), &json!("PS256"))
    );
    let later = (now() + 3600 + 60).to_string();
    let tampered = token.replace('.', ".e");
    let generic = signer.sign(&json!({
        "iss": "https://issuer.test", "aud": "svc", "sub": "s", "exp": now() + 9,
    }));
    for (token, more, expected) in [
        (token.as_str(), vec!["--now", &later], "token_expired"),
        (&tampered, vec![], "token_malformed"),
        (&generic, vec![], "claim_missing"),
        ("", vec![], "token_malformed"),
        (&token, vec!["--min-factors", "3"], "auth_factors_too_few"),
        (
            &token,
            vec!["--min-auth-level", "IAL3"],
            "auth_level_too_low",
        ),
        (&token, vec!["--max-lifetime", "60"], "lifetime_too_long"),
        (&token, vec!["--require", "email"], "claim_missing"),
    ] {
        let (code, answer) = verify(token, &more);
        assert_eq!(
            (code, &answer["code"]),
            (Some(1), &json!(expected)),
            "{token}"
        );
        assert_eq!(answer["valid"], false);
    }
    assert_eq!(verify(&generic, &["--profile", "generic"]).0, Some(0));
    assert_eq!(verify(&token, &["--leeway", "601"]).0, Some(2));
    assert_eq!(verify(&token, &["--min-auth-level", "high"]).0, Some(2));
    let output = run(tokensmith(scratch.path())
        .args(["token", "verify", "--jwks", "none.json"])
        .args(["--issuer", "i", "--audience", "a", "t"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`none.json`"));
    let output = run(tokensmith(scratch.path())
        .args(["token", "verify", "--jwks", "http://127.0.0.1:9/jwks"])
        .args(["--issuer", "i", "--audience", "a", "t"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("http://127.0.0.1:9/jwks"));
}

#[test]
fn token_inspect_shows_and_says_that_nothing_is_verified() {
    let scratch = Scratch::new();
    let token = Signer::new(Algorithm::EdDSA).sign(&json!({"sub": "x", "n": 1}));
    let (code, output) = piped(&scratch, &["token", "inspect", "-"], &token);
    let answer: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(answer["verified"], false);
    assert_eq!(answer["claims"], json!({"sub": "x", "n": 1}));
    assert_eq!(answer["header"]["alg"], "EdDSA");
    assert_eq!(
        piped(&scratch, &["token", "inspect", "-"], "a.b").0,
        Some(1)
    );
}

#[test]
fn policy_eval_answers_each_line() {
    let scratch = Scratch::new();
    let input = "[\"role:viewer\",\"metadata:nodes\",\"read\"]\n\
                 [\"role:viewer\",\"metadata:nodes\",\"delete\"]\n\
                 [\"role:viewer\"]\nnonsense\n";
    let (code, output) = piped(&scratch, &["policy", "eval", "--batch"], input);
    let answers = lines(&output);
    assert_eq!(code, Some(0));
    assert_eq!(answers[0], json!({"allowed": true}));
    assert_eq!(answers[1], json!({"allowed": false}));
    assert!(answers[2]["error"].is_string() && answers[3]["error"].is_string());
    scratch.write("model.conf", tokensmith_engine::policy::BASELINE_MODEL);
    scratch.write("policy.csv", "p, reader, doc, read\ng, ann, team\n");
    scratch.write("grouping.csv", "g, team, reader\n");
    let (_, output) = piped(
        &scratch,
        &[
            "policy",
            "eval",
            "--model",
            "model.conf",
            "--policy",
            "policy.csv",
            "--grouping",
            "grouping.csv",
            "--batch",
        ],
        "[\"ann\",\"doc\",\"read\"]\n[\"role:viewer\",\"metadata:nodes\",\"read\"]\n",
    );
    assert_eq!(
        lines(&output),
        [json!({"allowed": true}), json!({"allowed": false})]
    );
}

#[test]
fn policy_check_names_the_place() {
    let scratch = Scratch::new();
    let (code, output) = piped(&scratch, &["policy", "check"], "");
    assert_eq!(code, Some(0));
    assert!(
        output.starts_with("ok: 58 rules, policy_version v2:"),
        "{output}"
    );
    scratch.write("bad.csv", "p, a, b, c\nq, a, b, c\n");
    let output = run(tokensmith(scratch.path()).args(["policy", "check", "--policy", "bad.csv"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("bad.csv:2:1: "),
        "{output:?}"
    );
}

#[test]
fn jws_verify_answers_each_line() {
    let scratch = Scratch::new();
    let signer = Signer::new(Algorithm::ES256);
    let (jwk, jws) = (
        signer.jwk.to_json(),
        signer.sign(&json!({"any": "payload"})),
    );
    let other = Signer::new(Algorithm::ES256).jwk.to_json();
    let none = format!("{}.e30.", encode_base64url(r#"{"alg":"none"}"#));
    let cases = [
        (json!({"id": 1, "jwk": jwk, "jws": jws}), true),
        (
            json!({"id": 2, "jwks": {"keys": [jwk]}, "jws": jws, "algs": ["ES256"]}),
            true,
        ),
        (
            json!({"id": 3, "jwk": jwk, "jws": jws, "algs": ["RS256"]}),
            false,
        ),
        (json!({"id": 4, "jwk": other, "jws": jws}), false),
        (json!({"id": 5, "jwk": jwk, "jws": none}), false),
        (json!({"id": 6, "jwk": jwk, "jws": ""}), false),
    ];
    let input: String = cases.iter().map(|(case, _)| format!("{case}\n")).collect();
    let (code, output) = piped(&scratch, &["jws", "verify", "--batch"], &input);
    assert_eq!(code, Some(0));
    for (answer, (case, valid)) in lines(&output).iter().zip(&cases) {
        assert_eq!(
            (&answer["id"], &answer["valid"]),
            (&case["id"], &json!(valid)),
            "{answer}"
        );
    }
    assert_eq!(lines(&output).len(), cases.len());
}

#[test]
fn generate_config_prints_a_file_that_serve_reads() {
    let scratch = Scratch::new();
    let (code, output) = piped(&scratch, &["generate-config"], "");
    assert_eq!(code, Some(0));
    let value: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(value["groupScopes"]["operator"], json!(["write", "read"]));
    scratch.write("config.json", &output);
    let service =
        tokensmith_tests::service::Service::start(scratch.path(), &["--config", "config.json"])
            .unwrap();
    assert_eq!(service.get("/health").status, 200);
}

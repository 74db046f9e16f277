//! The configuration file, and which of flag, environment, file and default wins.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};

fn config(scratch: &Scratch, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    run(tokensmith(scratch.path())
        .arg("config")
        .args(arguments)
        .envs(environment.iter().copied()))
}

/// The answer of `config show --format json`.
fn show(scratch: &Scratch, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let arguments = [&["show", "--format", "json"][..], arguments].concat();
    let output = config(scratch, &arguments, environment);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit code and lines of `config check`.
fn check(
    scratch: &Scratch,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    let output = config(scratch, &[&["check"][..], arguments].concat(), environment);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[test]
fn the_highest_layer_wins() {
    let scratch = Scratch::new();
    scratch.write(
        "site.toml",
        "[serve]\nissuer = 'http://file'\nport = 1\naudience = ['f1', 'f2']\n\
         token_lifetime = '2h'\noidc_allow_http = true\nadmin_listen = '127.0.0.1:1'\n\
         policy_dir = 'file'\n",
    );
    let file = ["--config", "site.toml"];
    let environment = [
        ("TOKENSMITH_ISSUER", "http://environment"),
        ("TOKENSMITH_PORT", "2"),
        ("TOKENSMITH_AUDIENCE", "e1,e2"),
        ("TOKENSMITH_TOKEN_LIFETIME", "3h"),
        ("TOKENSMITH_OIDC_ALLOW_HTTP", "true"),
        ("TOKENSMITH_ADMIN_LISTEN", "127.0.0.1:2"),
        ("AUTHZ_POLICY_DIR", "environment"),
    ];
    let mut flags = file.to_vec();
    flags.extend([
        "--issuer",
        "http://flag",
        "--port",
        "3",
        "--audience",
        "g1,g2",
    ]);
    flags.extend(["--token-lifetime", "4h", "--oidc-allow-http=false"]);
    flags.extend(["--admin-listen", "127.0.0.1:3", "--policy-dir", "flag"]);
    let layers = [
        show(&scratch, &[], &[]),
        show(&scratch, &file, &[]),
        show(&scratch, &file, &environment),
        show(&scratch, &flags, &environment),
    ];
    for (name, values) in [
        (
            "issuer",
            [
                json!("http://tokensmith:8080"),
                json!("http://file"),
                json!("http://environment"),
                json!("http://flag"),
            ],
        ),
        ("port", [json!(8080), json!(1), json!(2), json!(3)]),
        (
            "audience",
            [
                json!(["openchami"]),
                json!(["f1", "f2"]),
                json!(["e1", "e2"]),
                json!(["g1", "g2"]),
            ],
        ),
        (
            "token_lifetime",
            [json!("1h"), json!("2h"), json!("3h"), json!("4h")],
        ),
        (
            "oidc_allow_http",
            [json!(false), json!(true), json!(true), json!(false)],
        ),
        (
            "admin_listen",
            [
                json!("off"),
                json!("127.0.0.1:1"),
                json!("127.0.0.1:2"),
                json!("127.0.0.1:3"),
            ],
        ),
        (
            "policy_dir",
            [
                Value::Null,
                json!("file"),
                json!("environment"),
                json!("flag"),
            ],
        ),
    ] {
        let origins = ["default", "file", "environment", "flag"];
        for ((layer, value), origin) in layers.iter().zip(values).zip(origins) {
            let expected = json!({"value": value, "origin": origin});
            assert_eq!(layer[name], expected, "{name}");
        }
    }
    // Of two settings for one thing the one in the higher layer counts.
    scratch.write(
        "db.toml",
        "[serve]\nstore = 'sqlite:file.db'\nkey_file = 'k.pem'\n",
    );
    let shown = show(
        &scratch,
        &["--config", "db.toml", "--bootstrap-store", "folder"],
        &[("TOKENSMITH_KEY_DIR", "keys")],
    );
    assert_eq!(shown["store"]["value"], "sqlite:folder/tokensmith.db");
    assert_eq!(shown["key_dir"]["value"], "keys");
    assert_eq!(shown["key_file"]["value"], Value::Null);
}

#[test]
fn toml_and_json_say_the_same() {
    let scratch = Scratch::new();
    scratch.write(
        "a.toml",
        "subject_claim = 'email'\n[group_scopes]\nops = ['read', 'write']\n\
         [serve]\nport = 8081\ntrusted_proxy = ['10.0.0.0/8', '192.0.2.1']\n\
         request_timeout = '20s'\nstore = 'sqlite:x.db'\n[oidc]\npreset = 'keycloak'\n",
    );
    scratch.write(
        "a.json",
        &json!({
            "subjectClaim": "email",
            "groupScopes": {"ops": ["read", "write"]},
            "serve": {
                "port": 8081,
                "trusted_proxy": ["10.0.0.0/8", "192.0.2.1"],
                "request_timeout": "20s",
                "store": "sqlite:x.db",
            },
            "oidc": {"preset": "keycloak"},
        })
        .to_string(),
    );
    let toml = show(&scratch, &["--config", "a.toml"], &[]);
    assert_eq!(toml, show(&scratch, &["--config", "a.json"], &[]));
    assert_eq!(
        toml["trusted_proxy"]["value"],
        json!(["10.0.0.0/8", "192.0.2.1/32"])
    );
    let expected = json!({"value": {"ops": ["read", "write"]}, "origin": "file"});
    assert_eq!(toml["groupScopes"], expected);
    assert_eq!(toml["groupRoles"]["origin"], "default");
    // What is shown as TOML is a file that shows the same values.
    let output = config(&scratch, &["show", "--config", "a.toml"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("port = 8081 # file\n"), "{text}");
    assert!(
        text.contains("issuer = \"http://tokensmith:8080\" # default\n"),
        "{text}"
    );
    scratch.write("shown.toml", &text);
    let again = show(&scratch, &["--config", "shown.toml"], &[]);
    for (name, setting) in toml.as_object().unwrap() {
        assert_eq!(again[name]["value"], setting["value"], "{name}");
    }
}

#[test]
fn errors_have_a_place() {
    let scratch = Scratch::new();
    for (name, text, message) in [
        (
            "a.toml",
            "[serve]\nprot = 1\n",
            "a.toml:2:1: unknown field `prot`",
        ),
        ("b.toml", "[serve]\nport = \n", "b.toml:2:"),
        ("c.toml", "\n[serv]\n", "c.toml:2:"),
        ("d.toml", "[serve]\nport = 70000\n", "d.toml:2:8: "),
        (
            "e.toml",
            "[serve]\nissuer = 'x'\ntrusted_proxy = ['10.0.0.0/99']\n",
            "e.toml:3:18: `10.0.0.0/99`",
        ),
        (
            "f.toml",
            "[serve]\nstore = 'redis:x'\n",
            "f.toml:2:9: `redis:x`",
        ),
        (
            "g.toml",
            "[serve]\nadmin_listen = '0.0.0.0:8081'\n",
            "g.toml:2:16: `0.0.0.0:8081`",
        ),
        (
            "h.toml",
            "[serve]\noidc_timeout = 'soon'\n",
            "h.toml:2:16: `soon`",
        ),
        ("a.json", "{\n \"groupScope\": {}\n}", "a.json:2:"),
        (
            "b.json",
            "{\"serve\":\n {\"port\": 1,\n \"prot\": 1}}",
            "b.json:3:",
        ),
        (
            "c.json",
            "{\"serve\":\n {\"store\":\n \"redis:x\"}}",
            "c.json:3:",
        ),
        ("d.json", "{\"serve\": {}", "d.json:1:"),
        (
            "e.toml",
            "[serve]\noidc_client_secret = 'hunter2'\n",
            "`OIDC_CLIENT_SECRET`",
        ),
        (
            "e.json",
            "{\"serve\": {\"oidc_client_secret\": \"hunter2\"}}",
            "`OIDC_CLIENT_SECRET`",
        ),
    ] {
        scratch.write(name, text);
        let (code, lines) = check(&scratch, &["--config", name], &[]);
        assert_eq!(code, Some(1), "{name}: {lines}");
        assert!(lines.contains(message), "{name}: {lines}");
        assert_eq!(lines.lines().count(), 1, "{name}: {lines}");
        let serve = run(tokensmith(scratch.path()).args(["serve", "--config", name]));
        let errors = String::from_utf8_lossy(&serve.stderr).into_owned();
        assert_eq!(serve.status.code(), Some(1), "{name}: {errors}");
        assert!(errors.contains(message), "{name}: {errors}");
        assert!(!lines.contains("hunter2") && !errors.contains("hunter2"));
    }
    // Commands that have no settings of it are not kept from their work.
    let output = run(tokensmith(scratch.path()).args(["policy", "check", "--config", "a.toml"]));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_does_not_fit_together_is_told_at_once() {
    let scratch = Scratch::new();
    for (arguments, message) in [
        (
            vec!["--tls-cert-file", "c"],
            "`--tls-cert-file` needs `--tls-key-file`",
        ),
        (
            vec!["--tls-key-file", "k"],
            "`--tls-key-file` needs `--tls-cert-file`",
        ),
        (
            vec!["--service-identity-ca", "a"],
            "`--service-identity-ca` needs",
        ),
        (vec!["--token-lifetime", "25h"], "`--token-lifetime`"),
        (vec!["--token-lifetime", "0s"], "`--token-lifetime`"),
        (vec!["--rotate-every", "59m"], "`--rotate-every`"),
        (
            vec!["--ext-authz-listen", "127.0.0.1:0"],
            "`--ext-authz-config`",
        ),
        (vec!["--ext-authz-config", "x.json"], "`--ext-authz-listen`"),
        (
            vec!["--key-file", "a", "--key-dir", "b"],
            "`--key-file` and `--key-dir`",
        ),
        (
            vec!["--key-file", "a", "--rotate-every", "1d"],
            "`--rotate-every` needs a folder",
        ),
        (
            vec!["--oidc-issuer", "https://idp.example"],
            "`--oidc-client-id`",
        ),
        (vec!["--max-connections", "0"], "`--max-connections`"),
        (vec!["--request-timeout", "0s"], "`--request-timeout`"),
    ] {
        let output = run(tokensmith(scratch.path())
            .args(["serve", "--listen-address", "127.0.0.1", "--port", "0"])
            .args(&arguments));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
        let (code, lines) = check(&scratch, &arguments, &[]);
        assert_eq!(code, Some(1), "{arguments:?}: {lines}");
        assert!(lines.contains(message), "{arguments:?}: {lines}");
    }
    for flags in [
        ["--admin-listen", "0.0.0.0:8081"],
        ["--admin-listen", "localhost"],
        ["--trusted-proxy", "10.0.0.0/33"],
        ["--access-token-type", "jwt"],
        ["--issued-token-type", "RFC"],
    ] {
        let output = config(&scratch, &[&["check"][..], &flags[..]].concat(), &[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {errors}");
        assert!(errors.contains(flags[1]), "{flags:?}: {errors}");
    }
    assert!(!scratch.path().join("data").exists(), "nothing was made");
}

#[test]
fn check_finds_every_problem_and_makes_nothing() {
    let scratch = Scratch::new();
    assert_eq!(check(&scratch, &[], &[]), (Some(0), "ok\n".to_owned()));
    scratch.write("policy/a.csv", "p, a, b\n");
    scratch.write("key.pem", "no key");
    scratch.write(
        "site.toml",
        "[serve]\npolicy_dir = 'policy'\nkey_file = 'missing.pem'\ntls_cert_file = 'key.pem'\n\
         tls_key_file = 'missing.pem'\noidc_issuer = 'http://idp.example'\noidc_client_id = 'c'\n\
         audit_log = 'missing/log'\next_authz_listen = '127.0.0.1:0'\n\
         ext_authz_config = 'missing.json'\ntoken_lifetime = '2d'\n",
    );
    let (code, lines) = check(&scratch, &["--config", "site.toml"], &[]);
    assert_eq!(code, Some(1));
    for part in [
        "`serve.token_lifetime`",
        "policy/a.csv:1:",
        "missing.pem",
        "--oidc-allow-http",
        "`missing/log`",
        "`missing.json`",
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(lines.lines().count(), 7, "{lines}");
    assert!(!scratch.path().join("data").exists());
}

#[test]
fn secrets_are_not_shown() {
    let scratch = Scratch::new();
    let environment = [
        ("OIDC_CLIENT_SECRET", "hunter2"),
        ("TOKENSMITH_STORE", "postgres://ts:hunter2@db/tokens"),
    ];
    for format in ["toml", "json"] {
        let output = config(&scratch, &["show", "--format", format], &environment);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://ts@db/tokens"), "{text}");
    }
    let secret = |environment: &[(&str, &str)]| {
        show(&scratch, &[], environment)["oidc_client_secret"].clone()
    };
    assert_eq!(
        secret(&environment),
        json!({"value": "set", "origin": "environment"})
    );
    assert_eq!(
        secret(&[]),
        json!({"value": "not set", "origin": "default"})
    );
    let help = run(tokensmith(scratch.path())
        .envs(environment)
        .args(["serve", "--help"]));
    assert!(!String::from_utf8_lossy(&help.stdout).contains("hunter2"));
}

#[test]
fn a_store_that_is_none_is_told_without_its_password() {
    let scratch = Scratch::new();
    for store in [
        "redis://ts:hunter2@db/tokens",
        "postgres:ts:hunter2@db/tokens",
        "postgres://ts:hunter2@:x/",
        "postgres://ts:1x?hunter2@db/",
        "host=db password=hunter2",
    ] {
        let file = format!("[serve]\nstore = '{store}'\n");
        scratch.write("site.toml", &file);
        for (command, code) in [
            (vec!["serve"], Some(2)),
            (vec!["config", "check"], Some(1)),
            (vec!["config", "show"], Some(0)),
            (vec!["store", "check"], Some(2)),
            (vec!["store", "migrate"], Some(2)),
        ] {
            let by_flag = run(tokensmith(scratch.path())
                .args(&command)
                .args(["--store", store]));
            let by_environment = run(tokensmith(scratch.path())
                .args(&command)
                .env("TOKENSMITH_STORE", store));
            let by_file = run(tokensmith(scratch.path())
                .args(&command)
                .args(["--config", "site.toml"]));
            for (output, code) in [(by_flag, code), (by_environment, code), (by_file, Some(1))] {
                let text = format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
                assert!(!text.contains("hunter2"), "{command:?}: {text}");
                assert!(text.contains("is not a store"), "{command:?}: {text}");
                assert_eq!(output.status.code(), code, "{command:?}: {text}");
            }
        }
    }
    assert!(!scratch.path().join("data").exists(), "nothing was made");
}

#[test]
fn the_admin_listener_is_asked_without_a_proxy_and_may_not_answer_endlessly() {
    let scratch = Scratch::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let small = json!({"oidc": {"status": "not_configured"}}).to_string();
    let large = json!({"oidc": "a".repeat(2 * 1024 * 1024)}).to_string();
    let answering = std::thread::spawn(move || {
        for body in [small, large] {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 0 && line != "\r\n" {
                line.clear();
            }
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let stream = reader.get_mut();
            stream.write_all(head.as_bytes()).unwrap();
            // Who has had enough goes away.
            drop(stream.write_all(body.as_bytes()));
        }
    });
    let status = || {
        run(tokensmith(scratch.path())
            .env("http_proxy", "http://127.0.0.1:1")
            .env("all_proxy", "http://127.0.0.1:1")
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .args(["oidc", "status", "--url", &url]))
    };
    let output = status();
    assert!(output.status.success(), "{output:?}");
    let output = status();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("is not an admin listener"), "{errors}");
    answering.join().unwrap();
}

#[test]
fn the_generated_file_is_accepted_and_changes_nothing() {
    let scratch = Scratch::new();
    let output = run(tokensmith(scratch.path()).args(["generate-config", "--format", "toml"]));
    let text = String::from_utf8(output.stdout).unwrap();
    scratch.write("as-it-is.toml", &text);
    let file = ["--config", "as-it-is.toml"];
    assert_eq!(check(&scratch, &file, &[]), (Some(0), "ok\n".to_owned()));
    let values = |shown: &Value| -> Vec<(String, Value)> {
        let settings = shown.as_object().unwrap().iter();
        settings
            .map(|(name, setting)| (name.clone(), setting["value"].clone()))
            .collect()
    };
    let defaults = values(&show(&scratch, &[], &[]));
    assert_eq!(values(&show(&scratch, &file, &[])), defaults);
    for name in ["listen_address", "trusted_proxy", "ext_authz_config"] {
        assert!(text.contains(&format!("\n#{name} =")), "{text}");
    }
    let json = run(tokensmith(scratch.path()).args(["generate-config"]));
    scratch.write("default.json", &String::from_utf8(json.stdout).unwrap());
    let file = ["--config", "default.json"];
    assert_eq!(values(&show(&scratch, &file, &[])), defaults);
}

#[test]
fn all_commands_use_the_file() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("log")).unwrap();
    scratch.write(
        "site.toml",
        "[serve]\nissuer = 'http://tokensmith.test'\nstore = 'sqlite:here/tokens.db'\n\
         key_dir = 'here/keys'\naudit_log = 'log/audit.jsonl'\ncluster_id = 'cl-site'\n",
    );
    std::fs::create_dir(scratch.path().join("here")).unwrap();
    let service = Service::start(scratch.path(), &["--config", "site.toml"]).unwrap();
    let run = |arguments: &[&str]| {
        let output = run(tokensmith(scratch.path())
            .env("TOKENSMITH_CONFIG", "site.toml")
            .args(arguments));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let keys: Value = serde_json::from_str(&run(&["keys", "list", "--json"])).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    let token = run(&[
        "bootstrap-token",
        "create",
        "--subject",
        "s",
        "--audience",
        "smd",
    ]);
    let answer = service.redeem(&token).json();
    let access = answer["access_token"].as_str().unwrap();
    let (code, verified) = service.verify("smd", access);
    assert_eq!(code, Some(0), "{verified}");
    let token = run(&[
        "user-token",
        "create",
        "--enable-local-user-mint",
        "--subject",
        "alice",
        "--audience",
        "smd",
        "--scopes",
        "read",
        "--reason",
        "a test",
    ]);
    let (code, verified) = service.verify("smd", &token);
    assert_eq!(code, Some(0), "{verified}");
    assert_eq!(verified["claims"]["cluster_id"], "cl-site");
    let log = run(&["audit", "verify", "log/audit.jsonl"]);
    assert!(log.starts_with("whole: "), "{log}");
    let text = std::fs::read_to_string(scratch.path().join("log/audit.jsonl")).unwrap();
    for event in ["bootstrap_create", "local_user_token"] {
        assert!(text.contains(event), "{text}");
    }
    assert!(!scratch.path().join("data").exists());
}

#[test]
fn a_configuration_file_is_written_where_none_is() {
    let scratch = Scratch::new();
    let generate =
        |path: &str| run(tokensmith(scratch.path()).args(["generate-config", "--config", path]));
    for path in ["etc/config.json", "etc/config.toml"] {
        let output = generate(path);
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains(path), "{told}");
        let checked = run(tokensmith(scratch.path()).args(["--config", path, "config", "check"]));
        assert!(checked.status.success(), "{checked:?}");
        let again = generate(path);
        assert_eq!(again.status.code(), Some(2), "{again:?}");
    }
    scratch.write(
        "clients.toml",
        "[[clients]]\nclient_id = 'c'\nauth = 'private_key_jwt'\njwks_file = 'gone.json'\n\
         grants = ['token_exchange']\n",
    );
    let checked =
        run(tokensmith(scratch.path()).args(["--config", "clients.toml", "config", "check"]));
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("`gone.json`"), "{told}");
}

#[test]
fn shells_complete_and_the_manual_has_every_command() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(tokensmith(scratch.path()).args(["completion", shell]));
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{shell}");
        for word in ["serve", "bootstrap-token", "listen-address", "policy"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = run(tokensmith(scratch.path()).args(["completion", "cmd"]));
    assert_eq!(output.status.code(), Some(2));

    let all = String::from_utf8(run(tokensmith(scratch.path()).arg("man")).stdout).unwrap();
    let written = run(tokensmith(scratch.path()).args(["man", "--output", "share/man1"]));
    assert!(written.status.success(), "{written:?}");
    let folder = scratch.path().join("share/man1");
    let mut pages = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let page = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(page.contains(".TH "), "{page}");
        pages += 1;
    }
    assert_eq!(all.matches(".TH ").count(), pages);
    for name in [
        "tokensmith",
        "tokensmith-serve",
        "tokensmith-config-show",
        "tokensmith-keys-list",
    ] {
        assert!(folder.join(format!("{name}.1")).exists(), "{name}");
    }
    let serve = std::fs::read_to_string(folder.join("tokensmith-serve.1")).unwrap();
    assert!(serve.contains("TOKENSMITH_ISSUER"), "{serve}");
}

//! Plugins in the real service: what they are for, and what a bad one can and cannot do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::backend::Backend;
use tokensmith_tests::exchange::ExchangeSite;
use tokensmith_tests::http::Response;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run, tokensmith};
use tokensmith_tests::tokens::{Signer, claims};
use tokensmith_tests::tool;

/// A component that `cargo xtask test` has built: `example` or `hostile`.
fn component(name: &str) -> PathBuf {
    Path::new(&tool("TOKENSMITH_PLUGINS")).join(format!("{name}.wasm"))
}

/// A provider, and a service with plugins that exchanges its tokens.
struct Site {
    service: Service,
    signer: Signer,
    issuer: String,
    scratch: Scratch,
}

impl Site {
    /// With section `[plugins]` of these lines; `plugin.wasm` is a copy of the component `name`.
    fn start(name: &str, plugins: &str) -> Self {
        let signer = Signer::new(Algorithm::ES256);
        let provider = Backend::start();
        let issuer = format!("http://127.0.0.1:{}", provider.port);
        let jwks_uri = format!("{issuer}/jwks");
        let jwks = json!({"keys": [signer.jwk.to_json()]});
        provider.publish("/jwks", Some(jwks));
        provider.publish(
            "/.well-known/openid-configuration",
            Some(json!({"issuer": issuer, "jwks_uri": jwks_uri})),
        );
        let scratch = Scratch::new();
        std::fs::copy(component(name), scratch.path().join("plugin.wasm")).unwrap();
        scratch.write("site.toml", &format!("[plugins]\n{plugins}\n"));
        let arguments = [
            "--config",
            "site.toml",
            "--oidc-issuer",
            &issuer,
            "--oidc-client-id",
            "cli",
            "--audit-log",
            "audit.jsonl",
        ];
        let service = Service::start(scratch.path(), &arguments).unwrap();
        Self {
            service,
            signer,
            issuer,
            scratch,
        }
    }

    /// The answer to an ID token of the user `bob` with `change` laid over its claims.
    fn exchange(&self, change: &Value) -> Response {
        let mut token = claims(&json!({
            "iss": self.issuer, "sub": "4711", "aud": "cli", "preferred_username": "bob",
            "groups": ["viewer"], "email": "bob@site.test",
        }));
        for name in ["roles", "scope"] {
            token.as_object_mut().unwrap().remove(name);
        }
        let change = change.as_object().unwrap().clone();
        token.as_object_mut().unwrap().extend(change);
        self.service.exchange(&self.signer.sign(&token), "")
    }

    /// The claims of the token that was issued.
    fn issued(&self, change: &Value) -> Value {
        let response = self.exchange(change);
        assert_eq!(response.status, 200, "{response:?}");
        let token = response.json()["access_token"].as_str().unwrap().to_owned();
        let (code, verified) = self.service.verify("openchami", &token);
        assert_eq!(code, Some(0), "{verified}");
        verified["claims"].clone()
    }

    /// Puts other bytes into the place of `plugin.wasm`, at once.
    fn replace(&self, bytes: &[u8]) {
        let draft = self.scratch.path().join("draft.wasm");
        std::fs::write(&draft, bytes).unwrap();
        std::fs::rename(draft, self.scratch.path().join("plugin.wasm")).unwrap();
        self.service.hang_up();
    }

    fn metric(&self, sample: &str) -> String {
        let text = self.service.get("/metrics").body;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no `{sample}`:\n{text}"))
            .to_owned()
    }

    fn audit_log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("audit.jsonl")).unwrap()
    }
}

fn refusal(response: &Response) -> (u16, Value) {
    (response.status, response.json()["code"].clone())
}

/// Tries until it is so.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_claim_mapper_says_groups_and_roles() {
    let site = Site::start("example", "claim_mapper = 'plugin.wasm'");
    let made = site.issued(&json!({
        "entitlements": ["urn:site:hpc:operator", "urn:other:admin"], "on_call": true,
        "auth_events": ["sso"],
    }));
    assert_eq!(made["sub"], "bob");
    assert_eq!(made["groups"], json!(["operator"]));
    assert_eq!(made["roles"], json!(["operator", "on-call"]));
    assert_eq!(made["scope"], json!(["read", "write"]));
    assert_eq!(made["auth_events"], json!(["site_login"]));
    // What the plugin says nothing of stays as it was.
    let made = site.issued(&json!({}));
    assert_eq!(made["groups"], json!(["viewer"]));
    assert_eq!(made["roles"], json!(["viewer"]));
    let response = site.exchange(&json!({"suspended": true}));
    assert_eq!(refusal(&response), (403, json!("plugin_refused")));
    assert_eq!(response.json()["error"], "access_denied");
    let told = response.json()["error_description"].clone();
    assert_eq!(
        told,
        "refused by the claim mapper: the account is suspended"
    );
    // What is issued takes the lines before it to the disk.
    assert_eq!(site.issued(&json!({}))["sub"], "bob");
    assert!(site.audit_log().contains("\"plugin_refused\""));
    let calls = "tokensmith_plugin_calls_total{plugin=\"claim_mapper\",outcome=";
    assert_eq!(site.metric(&format!("{calls}\"ok\"}}")), "3");
    assert_eq!(site.metric(&format!("{calls}\"refused\"}}")), "1");
}

#[test]
fn a_scope_policy_takes_scopes_away() {
    let site = Site::start("example", "scope_policy = 'plugin.wasm'");
    for (user, scopes) in [
        ("ann", json!(["admin", "read", "write"])),
        ("contractor-ann", json!(["read", "write"])),
    ] {
        let made = site.issued(&json!({"preferred_username": user, "groups": ["admin"]}));
        assert_eq!(made["scope"], scopes, "{user}");
    }
}

#[test]
fn a_scope_policy_is_asked_when_rules_exchange_too() {
    let path = component("example").display().to_string();
    let rules = format!(
        "[[exchange]]\nname = 'all'\nclients = ['public']\naudiences = ['smd']\n\
         scopes = ['read', 'admin']\nmode = 'impersonate'\n[plugins]\nscope_policy = '{path}'\n"
    );
    let site = ExchangeSite::start(&rules, &[]);
    for (user, scopes) in [
        ("ann", json!(["read", "admin"])),
        ("contractor-ann", json!(["read"])),
    ] {
        let token = site.ann(&json!({"sub": user}));
        let response = site.exchange(&token, None, &[("audience", "smd")]);
        let (_, made) = site.issued("smd", &response);
        assert_eq!(made["scope"], scopes, "{user}");
    }
}

#[test]
fn whatever_goes_wrong_issues_nothing() {
    let site = Site::start("hostile", "claim_mapper = 'plugin.wasm'");
    for how in [
        "loop", "memory", "trap", "stack", "output", "text", "expiry",
    ] {
        let began = Instant::now();
        let response = site.exchange(&json!({"misbehave": how}));
        assert_eq!(refusal(&response), (500, json!("plugin_failed")), "{how}");
        assert_eq!(response.json()["error"], "server_error");
        assert!(response.json().get("access_token").is_none());
        assert!(began.elapsed() < Duration::from_secs(5), "{how}");
        // The next call has an instance of its own.
        assert_eq!(site.issued(&json!({}))["sub"], "bob", "after {how}");
    }
    let response = site.exchange(&json!({"misbehave": "refuse"}));
    let told = response.json()["error_description"].clone();
    assert_eq!(told, "refused by the claim mapper: not today [31m");
    let log = site.audit_log();
    assert_eq!(log.matches("\"plugin_failed\"").count(), 7, "{log}");
    let failed = "tokensmith_plugin_calls_total{plugin=\"claim_mapper\",outcome=\"failed\"}";
    assert_eq!(site.metric(failed), "7");
}

#[test]
fn no_plugin_widens_scopes() {
    let site = Site::start("hostile", "scope_policy = 'plugin.wasm'");
    let made = site.issued(&json!({}));
    assert_eq!(made["scope"], json!(["read"]));
    for email in ["scopes-loop@site.test", "scopes-many@site.test"] {
        let response = site.exchange(&json!({"email": email}));
        assert_eq!(refusal(&response), (500, json!("plugin_failed")), "{email}");
    }
}

#[test]
fn many_that_hang_do_not_hold_up_others() {
    let plugins = "claim_mapper = 'plugin.wasm'\nfuel = 100000000000\ntimeout_ms = 1000";
    let site = Site::start("hostile", plugins);
    // The provider's keys are there before.
    assert_eq!(site.issued(&json!({}))["sub"], "bob");
    std::thread::scope(|scope| {
        let hanging: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| site.exchange(&json!({"misbehave": "loop"})).status))
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        assert_eq!(site.service.get("/health").status, 200);
        let waited = began.elapsed();
        assert!(waited < Duration::from_millis(700), "{waited:?}");
        for one in hanging {
            assert_eq!(one.join().unwrap(), 500);
        }
    });
}

#[test]
fn a_plugin_follows_its_file_and_a_bad_one_changes_nothing() {
    let site = Site::start("hostile", "claim_mapper = 'plugin.wasm'");
    let trap = json!({"misbehave": "trap", "entitlements": ["urn:site:hpc:operator"]});
    assert_eq!(site.exchange(&trap).status, 500);
    site.replace(&std::fs::read(component("example")).unwrap());
    eventually("the new plugin is in use", || {
        site.exchange(&trap).status == 200
    });
    assert_eq!(site.issued(&trap)["groups"], json!(["operator"]));
    let loads = "tokensmith_plugin_loads_total{plugin=\"claim_mapper\",outcome=";
    assert_eq!(site.metric(&format!("{loads}\"ok\"}}")), "2");
    for (number, bad) in [b"no component".as_slice(), b"\0asm\x0d\0\x01\0"]
        .into_iter()
        .enumerate()
    {
        site.replace(bad);
        eventually("the bad file is looked at", || {
            let failed = site.metric(&format!("{loads}\"failed\"}}"));
            failed.parse::<usize>().unwrap() > number
        });
        assert_eq!(site.issued(&trap)["groups"], json!(["operator"]));
    }
    site.replace(&std::fs::read(component("hostile")).unwrap());
    eventually("a good file is taken again", || {
        site.exchange(&trap).status == 500
    });
}

/// Components that are good for nothing, and what is said about them.
const USELESS: [(&str, &str, &str); 4] = [
    ("(component)", "plugin_export", "`map-claims`"),
    (
        r#"(component (import "read-file" (func (param "name" string))))"#,
        "plugin_component",
        "`read-file`",
    ),
    (
        r#"(component
             (core module $m (func (export "f") (result i32) i32.const 1))
             (core instance $i (instantiate $m))
             (func (export "map-claims") (result u32) (canon lift (core func $i "f"))))"#,
        "plugin_export",
        "type mismatch",
    ),
    (
        r#"(component
             (core module $m (func $f (loop br 0)) (start $f))
             (core instance (instantiate $m)))"#,
        "plugin_component",
        "(`",
    ),
];

#[test]
fn the_service_does_not_start_with_a_useless_plugin() {
    let scratch = Scratch::new();
    let text = "[plugins]\nclaim_mapper = 'plugin.wasm'\n";
    let config = scratch.write("site.toml", text).display().to_string();
    let start = || Service::start(scratch.path(), &["--config", &config]).unwrap_err();
    assert!(start().contains("plugin.wasm"), "there is no file");
    std::fs::write(scratch.path().join("plugin.wasm"), "text").unwrap();
    assert!(start().contains("is not a WebAssembly component"));
    for (component, _, told) in USELESS {
        let bytes = wat::parse_str(component).unwrap();
        std::fs::write(scratch.path().join("plugin.wasm"), bytes).unwrap();
        let error = start();
        assert!(error.contains("plugin.wasm"), "{error}");
        assert!(error.contains(told), "{error}");
        let check = run(tokensmith(scratch.path()).args(["config", "check", "--config", &config]));
        assert_eq!(check.status.code(), Some(1), "{check:?}");
        let line = String::from_utf8(check.stdout).unwrap();
        assert!(line.contains(told), "{line}");
    }
    scratch.write("site.toml", "[plugins]\ntimeout_ms = 0\n");
    assert!(start().contains("`plugins.timeout_ms` has to be 1 to 10000"));
}

#[test]
fn what_is_in_use_is_shown() {
    let scratch = Scratch::new();
    std::fs::copy(component("example"), scratch.path().join("plugin.wasm")).unwrap();
    scratch.write("site.toml", "[plugins]\nscope_policy = 'plugin.wasm'\n");
    let show = |format: &str| {
        let output = run(tokensmith(scratch.path()).args([
            "config",
            "show",
            "--config",
            "site.toml",
            "--format",
            format,
        ]));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(
        shown["plugins"],
        json!({"value": {"scope_policy": "plugin.wasm"}, "origin": "file"})
    );
    let digest = shown["plugin_digests"]["value"]["scope_policy"].clone();
    let digest = digest.as_str().unwrap();
    assert_eq!(digest.len(), 64);
    let toml = show("toml");
    assert!(
        toml.contains(&format!("# SHA-256 of plugins.scope_policy: {digest}\n")),
        "{toml}"
    );
    scratch.write("shown.toml", &toml);
    let check = run(tokensmith(scratch.path()).args(["config", "check", "--config", "shown.toml"]));
    assert_eq!(check.status.code(), Some(0), "{check:?}");
}

#[test]
fn plugins_are_tried_on_the_command_line() {
    let scratch = Scratch::new();
    let claims = json!({
        "sub": "contractor-1", "aud": ["smd"], "scope": ["admin", "read"],
        "entitlements": ["urn:site:hpc:ops"],
    });
    scratch.write("claims.json", &claims.to_string());
    let plugin = |arguments: &[&str]| {
        let output = run(tokensmith(scratch.path()).arg("plugin").args(arguments));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), answer, errors)
    };
    let example = component("example").display().to_string();
    let (code, answer, errors) = plugin(&["check", &example]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(answer["exports"], json!(["map-claims", "limit-scopes"]));
    let (_, answer, _) = plugin(&["run", &example, "--claims", "claims.json"]);
    assert_eq!(answer["groups"], json!(["ops"]));
    assert!(answer["claims"].get("entitlements").is_none(), "{answer}");
    let (_, answer, _) = plugin(&["run", &example, "--claims", "claims.json", "--scopes"]);
    assert_eq!(answer, json!({"answered": ["read"], "granted": ["read"]}));

    let hostile = component("hostile").display().to_string();
    for (how, limit, told) in [
        ("loop", "fuel = 100000000000\ntimeout_ms = 30", "30 ms"),
        (
            "loop",
            "fuel = 1000000\ntimeout_ms = 10000",
            "1000000 units of fuel",
        ),
        ("memory", "memory_mib = 4\ntimeout_ms = 10000", "memory"),
        ("trap", "", "unreachable"),
        (
            "output",
            "memory_mib = 64\ntimeout_ms = 10000\nfuel = 100000000000",
            "hostcall",
        ),
        ("text", "", "is not an object"),
        ("expiry", "", "`exp`"),
    ] {
        scratch.write("site.toml", &format!("[plugins]\n{limit}\n"));
        scratch.write(
            "bad.json",
            &json!({"sub": "a", "misbehave": how}).to_string(),
        );
        let arguments = [
            "run",
            &hostile,
            "--claims",
            "bad.json",
            "--config",
            "site.toml",
        ];
        let began = Instant::now();
        let (code, _, errors) = plugin(&arguments);
        assert_eq!(code, Some(1), "{how}: {errors}");
        assert!(errors.contains(told), "{how}: {errors}");
        assert!(errors.contains("`map-claims`"), "{errors}");
        assert!(began.elapsed() < Duration::from_secs(10), "{how}");
    }
    for (component, _, told) in USELESS {
        let bytes = wat::parse_str(component).unwrap();
        std::fs::write(scratch.path().join("useless.wasm"), bytes).unwrap();
        let (code, _, errors) = plugin(&["check", "useless.wasm"]);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(told), "{errors}");
    }
}

#[test]
fn codes_are_stable() {
    use tokensmith::plugins::{Plugin, PluginLimits};
    let scratch = Scratch::new();
    let path = scratch.path().join("plugin.wasm");
    let load = || {
        Plugin::load(&path, PluginLimits::default())
            .unwrap_err()
            .code()
    };
    assert_eq!(load(), "plugin_file");
    std::fs::write(&path, "text").unwrap();
    assert_eq!(load(), "plugin_component");
    for (component, code, _) in USELESS {
        std::fs::write(&path, wat::parse_str(component).unwrap()).unwrap();
        assert_eq!(load(), code, "{component}");
    }
    let plugin = Plugin::load(&component("example"), PluginLimits::default()).unwrap();
    assert!(format!("{plugin:?}").contains(plugin.digest()));
}

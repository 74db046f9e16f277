//! The engine under wasmtime beside the same code natively, and calls of a plugin.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::hint::black_box;
use std::path::Path;

use serde_json::json;
use tokensmith::plugins::{Plugin, PluginLimits, ScopeQuestion};
use tokensmith_bench::{Contestant, Measured, Report, take_turns};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::policy::{BASELINE_MODEL, baseline_rules};
use tokensmith_engine::verify::portable::Portable;
use tokensmith_engine_module::Session;
use tokensmith_tests::engine_component::EngineComponent;
use tokensmith_tests::tool;

/// Decisions under wasmtime take no longer than this many times the native ones.
const MOST_RATIO: f64 = 3.0;
/// A plugin's call takes no longer than this.
const MOST_CALL_NS: f64 = 20_000.0;
/// Decisions in one line, where reading the line is to count for little.
const MANY: u32 = 1000;

fn main() {
    let mut report = Report::new("plugins");
    decisions(&mut report);
    calls(&mut report);
    report.write();
}

/// Decisions by the baseline policy: lines with one each, and lines with many.
fn decisions(report: &mut Report) {
    let policy = json!({"op": "policy", "model": BASELINE_MODEL, "rules": baseline_rules()});
    for (what, times) in [
        ("a decision, its request as a line of JSON", 1),
        ("1,000 decisions in a line", MANY),
    ] {
        let mut native = Session::new(Portable);
        let mut component = EngineComponent::start();
        let loaded = native.answer(&policy.to_string());
        assert_eq!(component.answer(&policy.to_string()), loaded);
        let request = json!(["role:viewer", "metadata:nodes", "read"]);
        let line = json!({"op": "enforce", "request": request, "times": times}).to_string();
        let allowed = r#"{"allowed":true}"#;
        let measured = take_turns(vec![
            Contestant::new("native", || {
                assert_eq!(native.answer(black_box(&line)), allowed);
            }),
            Contestant::new("wasmtime", || {
                assert_eq!(component.answer(black_box(&line)), allowed);
            }),
        ]);
        report.compare(what, &measured);
        let ratio = measured[1].median_ns / measured[0].median_ns;
        let verdict = if ratio <= MOST_RATIO { "yes" } else { "no" };
        report.note(&format!("{what}: wasmtime within 3x of native"), verdict);
    }
}

/// A call of each function, with the instance that is made for it.
fn calls(report: &mut Report) {
    let path = Path::new(&tool("TOKENSMITH_PLUGINS")).join("example.wasm");
    let plugin = Plugin::load(&path, PluginLimits::default()).unwrap();
    let claims = json!({
        "iss": "https://idp.test", "aud": "cli", "sub": "4711", "exp": 4_102_444_800_i64,
        "preferred_username": "ann", "email": "ann@site.test",
        "entitlements": ["urn:site:hpc:operator", "urn:site:mail:user"],
    });
    let claims = Claims::parse(claims.to_string(), &Limits::default()).unwrap();
    let audience = ["smd".to_owned()];
    let scopes = ["admin", "read", "write"].map(str::to_owned);
    let question = ScopeQuestion {
        subject: "contractor-ann",
        audience: &audience,
        scopes: &scopes,
        claims: claims.payload(),
    };
    let measured = take_turns(vec![
        Contestant::new("map-claims", || {
            let user = plugin.map_claims(black_box(&claims)).unwrap();
            assert_eq!(user.groups.as_deref().map(<[_]>::len), Some(1));
        }),
        Contestant::new("limit-scopes", || {
            let left = plugin.limit_scopes(black_box(&question)).unwrap();
            assert_eq!(left.len(), 2);
        }),
    ]);
    let slowest = measured.iter().map(|one: &Measured| one.median_ns);
    let slowest = slowest.fold(0.0, f64::max);
    report.compare("a plugin's call, instance included", &measured);
    let verdict = if slowest <= MOST_CALL_NS { "yes" } else { "no" };
    report.note("a plugin's call takes at most 20 us", verdict);
}

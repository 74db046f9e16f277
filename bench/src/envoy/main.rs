//! The filter in Envoy beside Envoy's own jwt_authn and rbac filters, and beside no filter: one
//! worker on one processor, the load from the other, contestants in turn.
//!
//! `bench-envoy [GROUP [MODULE ..]]`: only groups whose name has GROUP in it, and other builds of
//! the filter beside the built one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod contestants;
mod load;

use serde_json::{Value, json};
use tokensmith_engine::jose::Algorithm;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::tokens::{Signer, claims};

use contestants::{native, no_filter, tokensmith};
use load::{Load, Rate};

const TOKENS: usize = 4000;
const ROUNDS: usize = 3;
const PROCESSOR: u32 = 0;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let modules: Vec<String> = arguments.collect();
    let mut groups = Vec::new();
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let signer = Signer::new(algorithm);
        let scratch = Scratch::new();
        let tokens: Vec<String> = (0..TOKENS)
            .map(|number| signer.sign(&claims(&json!({"sub": format!("user-{number}")}))))
            .collect();
        let load = Load::new(&scratch, &tokens);
        for (name, cached) in [("known tokens", true), ("every token new", false)] {
            let what = format!("{algorithm}, {name}, {TOKENS} distinct tokens");
            if !what.contains(&wanted) {
                continue;
            }
            let mut envoys = vec![
                ("no filter", no_filter()),
                ("jwt_authn + rbac (Envoy's own)", native(&signer, cached)),
                ("tokensmith filter", tokensmith(&signer, cached, None)),
            ];
            for module in &modules {
                envoys.push((module, tokensmith(&signer, cached, Some(module))));
            }
            let mut rates = vec![Vec::new(); envoys.len()];
            for (_, envoy) in &envoys {
                load.run(envoy.port, 1);
            }
            for _ in 0..ROUNDS {
                for (index, (_, envoy)) in envoys.iter().enumerate() {
                    rates[index].push(load.run(envoy.port, 4));
                }
            }
            let measured: Vec<(&str, Rate)> = envoys
                .iter()
                .zip(rates)
                .map(|((name, _), rates)| (*name, Rate::median(rates)))
                .collect();
            groups.push(report(&what, &measured));
        }
    }
    write(&json!({"bench": "envoy", "groups": groups}));
}

/// Ratios are to Envoy's own filters.
fn report(what: &str, measured: &[(&str, Rate)]) -> Value {
    println!("\n{what}");
    println!(
        "  {:<34} {:>12} {:>8} {:>10} {:>10}",
        "", "requests/s", "ratio", "p50", "p99"
    );
    let native = measured[1].1.requests_per_second;
    for (name, rate) in measured {
        println!(
            "  {:<34} {:>12.0} {:>7.2}x {:>7.0} us {:>7.0} us",
            name,
            rate.requests_per_second,
            rate.requests_per_second / native,
            rate.p50_us,
            rate.p99_us,
        );
    }
    let contestants: Vec<Value> = measured
        .iter()
        .map(|(name, rate)| {
            json!({
                "name": name, "requests_per_second": rate.requests_per_second,
                "p50_us": rate.p50_us, "p99_us": rate.p99_us,
            })
        })
        .collect();
    json!({"what": what, "contestants": contestants})
}

fn write(report: &Value) {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("envoy.json"), format!("{report:#}\n")).unwrap();
    println!("\nJSON: target/bench/envoy.json");
}

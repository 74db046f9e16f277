//! Steady load for a long time on a service with a million refresh families: memory has to stay,
//! and no request may fail.

mod filled_store;
mod steady;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokensmith::signing_key::KeyKind;
use tokensmith_tests::scratch::Scratch;

use crate::load::{self, Outcome, Pace, Sample};
use crate::report::{machine, times, write};
use crate::requests::Requests;
use crate::server::Server;
use filled_store::{FilledStore, Size};
use steady::{Steady, Tokens};
use watch::Watch;

/// Families whose refresh tokens can be used.
pub(crate) const FAMILIES: usize = 1_000_000;
/// Families that ended so long ago that the service removes them.
const ENDED: usize = 200_000;
/// Requests in a second: a quarter redeems, half refreshes, a quarter introspects.
const PER_SECOND: f64 = 200.0;
const CONNECTIONS: usize = 16;
/// What the memory may grow in the second half, kB in a minute.
const MOST_GROWTH: f64 = 512.0;

/// Runs for `seconds` and says what was found; fails when memory grows by more than
/// [`MOST_GROWTH`], when a request fails, when what has ended is still there, or when the service
/// does not end well.
pub(crate) fn run(seconds: u32) -> ExitCode {
    assert!(seconds >= 60, "a soak of less than 60 s shows nothing");
    let scratch = Scratch::new();
    let path = scratch.path().join("store.db");
    let redeems = (f64::from(seconds) * PER_SECOND / 4.0) as usize + 1000;
    println!("making {FAMILIES} refresh families, {ENDED} ended ones, {redeems} bootstrap tokens");
    let store = FilledStore::make(&path, FAMILIES, ENDED, redeems);
    let before = store.size();
    println!("store: {before}");

    let log = scratch.path().join("audit.jsonl");
    let log = log.to_string_lossy();
    let location = format!("sqlite:{}", path.display());
    let service = Server::tokensmith(&scratch, KeyKind::Es256, &location, &["--audit-log", &*log]);
    let watch = Watch::start(service.id(), store.path());
    let tokens = Tokens::new(redeems);
    let connections = (0..CONNECTIONS)
        .map(|number| Box::new(Steady::new(&tokens, number)) as Box<dyn Requests>)
        .collect();
    let pace = Pace::Open {
        per_second: PER_SECOND,
    };
    println!("{PER_SECOND} requests in a second for {seconds} s");
    let load = load::run(
        service.port,
        connections,
        pace,
        Duration::from_secs(seconds.into()),
    );
    let seen = watch.stop();
    let errors = service.log();
    let ended = service.end();
    let after = store.size();

    let mut failures = Vec::new();
    let outcome = load.map_err(|error| failures.push(format!("a request failed: {error}")));
    let growth = seen.growth();
    if growth > MOST_GROWTH {
        failures.push(format!(
            "memory grew by {growth:.0} kB in a minute, {MOST_GROWTH} are allowed"
        ));
    }
    if seen.purged.is_none() {
        failures.push("families that ended long ago are still in the store".to_owned());
    }
    if !ended.success() {
        failures.push(format!("the service ended with {ended}"));
    }
    print(&seen, &before, &after);
    let load = outcome.ok().map(|outcome| loaded(&outcome, seen.purged));
    write(
        "soak",
        &json!({
            "bench": "soak", "machine": machine(), "seconds": seconds,
            "families": FAMILIES, "ended_families": ENDED,
            "rss_kb": {"min": seen.least(), "max": seen.most()},
            "rss_growth_kb_per_minute": growth, "allowed_kb_per_minute": MOST_GROWTH,
            "purged_after_s": seen.purged.map(|after| after.as_secs_f64()),
            "store_before": before.json(), "store_after": after.json(),
            "load": load, "failures": failures,
        }),
    );
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    let last: Vec<&str> = errors.lines().rev().take(5).collect();
    eprintln!("soak failed: {}\n{}", failures.join("; "), last.join("\n"));
    ExitCode::FAILURE
}

fn print(seen: &watch::Seen, before: &Size, after: &Size) {
    println!(
        "\nmemory (VmRSS): {} kB at least, {} kB at most, {:+.0} kB in a minute over the second \
         half ({MOST_GROWTH} allowed)",
        seen.least(),
        seen.most(),
        seen.growth()
    );
    println!("store before: {before}\nstore after:  {after}");
    match seen.purged {
        Some(took) => println!(
            "purge: {ENDED} families and their tokens were gone after {:.0} s",
            took.as_secs_f64()
        ),
        None => println!("purge: what has ended is still there"),
    }
}

/// Prints the load, while the store was purged and after, and tells it as JSON.
fn loaded(outcome: &Outcome, purged: Option<Duration>) -> serde_json::Value {
    let end = purged.unwrap_or_default();
    let (during, later): (Vec<Sample>, Vec<Sample>) = outcome
        .samples
        .iter()
        .copied()
        .partition(|sample| sample.at < end);
    let mut told = serde_json::Map::new();
    for (what, samples) in [("while_purging", &during), ("after", &later)] {
        let latency = Outcome::latency_of(samples);
        println!(
            "{what}: {} answers, p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, at most {:.0} us",
            samples.len(),
            latency.p50_us,
            latency.p99_us,
            latency.p999_us,
            latency.max_us
        );
        told.insert(
            what.to_owned(),
            json!({"answers": samples.len(), "latency": times(&latency)}),
        );
    }
    told.insert("per_second".to_owned(), outcome.per_second().into());
    told.into()
}

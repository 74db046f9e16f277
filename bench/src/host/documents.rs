use std::time::Duration;

use tokensmith::signing_key::KeyKind;
use tokensmith_tests::http;
use tokensmith_tests::scratch::Scratch;

use crate::grants::AT_ONCE;
use crate::latency::Latency;
use crate::load::{self, Outcome, Pace};
use crate::report::{Report, Row};
use crate::requests::{Get, Requests};
use crate::server::Server;
use crate::wrk;

const ROUNDS: usize = 3;

/// The JWK set and `/health`, beside the HTTP stack alone with a body of the same size; by wrk and
/// by the load of the other tables, so that those can be judged.
pub(crate) fn measure(report: &mut Report) {
    let scratch = Scratch::new();
    let store = format!("sqlite:{}", scratch.path().join("store.db").display());
    let service = Server::tokensmith(&scratch, KeyKind::Es256, &store, &[]);
    for path in ["/.well-known/jwks.json", "/health"] {
        let answer = http::request(service.port, "GET", path, &[]).unwrap();
        let length = answer.body.len();
        let bare = Server::bare(&scratch, length);
        let servers = [
            ("HTTP stack alone", bare.port),
            ("tokensmith", service.port),
        ];
        let mut rows = Vec::new();
        let mut best = 0.0f64;
        for at_once in AT_ONCE {
            for (name, rounds) in turns(&scratch, &servers, path, at_once) {
                let (per_second, latency) = median(rounds);
                if name == "tokensmith, own load" {
                    best = best.max(per_second);
                }
                rows.push(Row {
                    name,
                    at_once,
                    per_second,
                    latency: Some(latency),
                });
            }
        }
        let at_once = AT_ONCE[AT_ONCE.len() - 1];
        let pace = Pace::Open {
            per_second: best / 2.0,
        };
        let outcome = get(service.port, path, at_once, pace, Duration::from_secs(5));
        rows.push(Row {
            name: "tokensmith, own load, half of its best rate".to_owned(),
            at_once,
            per_second: outcome.per_second(),
            latency: Some(outcome.latency()),
        });
        report.group(&format!("GET {path}, {length} bytes"), &rows);
    }
}

/// Each server by each kind of load, in turn.
fn turns(
    scratch: &Scratch,
    servers: &[(&str, u16)],
    path: &str,
    at_once: usize,
) -> Vec<(String, Vec<(f64, Latency)>)> {
    let mut measured: Vec<(String, Vec<(f64, Latency)>)> = servers
        .iter()
        .flat_map(|(name, _)| [format!("{name}, wrk"), format!("{name}, own load")])
        .map(|name| (name, Vec::new()))
        .collect();
    for _ in 0..ROUNDS {
        for (index, (_, port)) in servers.iter().enumerate() {
            let by_wrk = wrk::get(scratch, *port, path, at_once);
            measured[2 * index].1.push(by_wrk);
            let seconds = Duration::from_secs(2);
            let outcome = get(*port, path, at_once, Pace::Closed, seconds);
            let own = (outcome.per_second(), outcome.latency());
            measured[2 * index + 1].1.push(own);
        }
    }
    measured
}

fn get(port: u16, path: &str, at_once: usize, pace: Pace, duration: Duration) -> Outcome {
    let connections = (0..at_once)
        .map(|_| Box::new(Get::new(path)) as Box<dyn Requests>)
        .collect();
    load::run(port, connections, pace, duration).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The round of the median rate.
fn median(mut rounds: Vec<(f64, Latency)>) -> (f64, Latency) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}

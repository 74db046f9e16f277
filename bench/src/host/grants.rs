use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokensmith::signing_key::KeyKind;
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;

use crate::bootstrap;
use crate::issuer::{CLIENT, Issuer};
use crate::load::{self, Outcome, Pace};
use crate::report::{Report, Row};
use crate::requests::{Exchange, Redeem, Requests, Rotate, Supply};
use crate::server::Server;

/// Connections that ask at once.
pub(crate) const AT_ONCE: [usize; 3] = [1, 8, 64];

/// Bootstrap tokens of one table.
const BOOTSTRAP_TOKENS: usize = 60_000;
/// ID tokens of one table.
const ID_TOKENS: usize = 40_000;
/// What of them each run may use: each token is good once, and a run ends without. The first one
/// only warms up, the last one is at half of the best rate.
const SHARES: [f64; 5] = [0.01, 0.09, 0.25, 0.35, 0.3];

/// Where the tokens are.
pub(crate) enum Backing {
    Sqlite,
    Postgres(Postgres),
}

/// Both, PostgreSQL with a server of its own.
pub(crate) fn stores() -> Vec<Backing> {
    vec![Backing::Sqlite, Backing::Postgres(Postgres::start())]
}

impl Backing {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Backing::Sqlite => "SQLite",
            Backing::Postgres(_) => "PostgreSQL",
        }
    }
}

/// Redeems, rotations and, with ES256, exchanges. Answers with the best row of the redeems.
pub(crate) fn measure(report: &mut Report, backing: &Backing, name: &str, kind: KeyKind) -> Row {
    let scratch = Scratch::new();
    let file = format!("sqlite:{}", scratch.path().join("store.db").display());
    let (store, fill) = match backing {
        Backing::Sqlite => (file.clone(), file),
        Backing::Postgres(postgres) => (
            postgres.url(),
            format!("{}?options=-c%20synchronous_commit%3Doff", postgres.url()),
        ),
    };
    let tokens = bootstrap::make(&fill, BOOTSTRAP_TOKENS);
    let issuer = Issuer::start();
    let oidc = [
        "--oidc-issuer",
        issuer.issuer.as_str(),
        "--oidc-client-id",
        CLIENT,
    ];
    let service = Server::tokensmith(&scratch, kind, &store, &oidc);
    let place = match backing {
        Backing::Sqlite => "SQLite".to_owned(),
        Backing::Postgres(_) => "PostgreSQL, itself on any processor".to_owned(),
    };

    let refresh_tokens = Supply::default();
    let mut shares = Shares::new(tokens);
    let redeemed = runs("bootstrap redeem", &service, |at_once| {
        let tokens = shares.take();
        boxed(at_once, || Redeem {
            tokens: Arc::clone(&tokens),
            refresh_tokens: Arc::clone(&refresh_tokens),
        })
    });
    report.group(&format!("bootstrap redeem, {name}, {place}"), &redeemed);

    let rotated = runs("refresh", &service, |at_once| {
        boxed(at_once, || Rotate {
            tokens: Arc::clone(&refresh_tokens),
        })
    });
    report.group(&format!("refresh rotation, {name}, {place}"), &rotated);

    if kind == KeyKind::Es256 {
        let mut shares = Shares::new(issuer.id_tokens(ID_TOKENS));
        let exchanged = runs("exchange", &service, |at_once| {
            let tokens = shares.take();
            boxed(at_once, || Exchange {
                tokens: Arc::clone(&tokens),
            })
        });
        report.group(
            &format!(
                "exchange of RS256 ID tokens, all different, signed beforehand by an issuer in \
                 the load's process (discovery and keys are served, nobody signs in); {name}, \
                 {place}"
            ),
            &exchanged,
        );
    }
    best(&redeemed)
}

/// Warms up, runs at each number of connections, and then at half of the best rate.
fn runs(
    what: &str,
    service: &Server,
    mut requests: impl FnMut(usize) -> Vec<Box<dyn Requests>>,
) -> Vec<Row> {
    let mut run = |at_once: usize, pace: Pace, duration: Duration| -> Outcome {
        load::run(service.port, requests(at_once), pace, duration)
            .unwrap_or_else(|error| panic!("{what}: {error}\n{}", service.log()))
    };
    run(1, Pace::Closed, Duration::from_millis(500));
    let mut rows: Vec<Row> = AT_ONCE
        .iter()
        .map(|at_once| {
            let outcome = run(*at_once, Pace::Closed, Duration::from_secs(3));
            row(what, *at_once, &outcome)
        })
        .collect();
    let per_second = best(&rows).per_second / 2.0;
    let at_once = AT_ONCE[AT_ONCE.len() - 1];
    let pace = Pace::Open { per_second };
    let outcome = run(at_once, pace, Duration::from_secs(5));
    let name = format!("{what}, half of the best rate");
    rows.push(row(&name, at_once, &outcome));
    rows
}

fn row(name: &str, at_once: usize, outcome: &Outcome) -> Row {
    Row {
        name: name.to_owned(),
        at_once,
        per_second: outcome.per_second(),
        latency: Some(outcome.latency()),
    }
}

fn best(rows: &[Row]) -> Row {
    rows.iter()
        .max_by(|a, b| a.per_second.total_cmp(&b.per_second))
        .unwrap()
        .clone()
}

fn boxed<R: Requests + 'static>(
    at_once: usize,
    requests: impl Fn() -> R,
) -> Vec<Box<dyn Requests>> {
    (0..at_once)
        .map(|_| Box::new(requests()) as Box<dyn Requests>)
        .collect()
}

/// Tokens by [`SHARES`].
struct Shares {
    tokens: VecDeque<String>,
    whole: f64,
    shares: std::array::IntoIter<f64, 5>,
}

impl Shares {
    fn new(tokens: VecDeque<String>) -> Self {
        Self {
            whole: tokens.len() as f64,
            tokens,
            shares: SHARES.into_iter(),
        }
    }

    fn take(&mut self) -> Supply {
        let share = self.shares.next().unwrap();
        let count = ((self.whole * share) as usize).min(self.tokens.len());
        Arc::new(Mutex::new(self.tokens.drain(..count).collect()))
    }
}

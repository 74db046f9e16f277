//! Two replicas of the real service on one PostgreSQL.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Barrier;
use std::thread::{Builder, scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::http::{self, Response};
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{BOOTSTRAP_TOKEN, Service, TOKEN_EXCHANGE};

const AT_ONCE: usize = 1000;
/// The longest that callers wait while the database does not answer.
const SOON: Duration = Duration::from_secs(5);
/// More callers at once than a replica has connections to the database.
const CALLERS: usize = 40;

const CREATE: [&str; 6] = [
    "--subject",
    "boot-service",
    "--audience",
    "smd",
    "--scopes",
    "read,introspect",
];

/// Replicas that share database and keys.
struct Replicas {
    services: Vec<Service>,
    // Ends after them.
    postgres: Postgres,
    scratch: Scratch,
}

impl Replicas {
    fn start(arguments: &[&str]) -> Self {
        let (postgres, scratch) = (Postgres::start(), Scratch::new());
        let mut replicas = Self {
            services: Vec::new(),
            postgres,
            scratch,
        };
        for name in ["a", "b"] {
            let service = replicas.replica(name, arguments).unwrap();
            replicas.services.push(service);
        }
        replicas
    }

    /// Starts one more.
    fn replica(&self, name: &str, arguments: &[&str]) -> Result<Service, String> {
        let folder = self.scratch.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let keys = self.scratch.path().join("keys").display().to_string();
        let store = self.postgres.url();
        let shared = ["--store", &store, "--key-dir", &keys];
        let arguments: Vec<&str> = shared.iter().chain(arguments).copied().collect();
        Service::start(&folder, &arguments)
    }

    fn both(&self) -> (&Service, &Service) {
        (&self.services[0], &self.services[1])
    }

    fn bootstrap_token(&self) -> String {
        let store = self.postgres.url();
        let create: Vec<&str> = CREATE.iter().copied().chain(["--store", &store]).collect();
        self.services[0].bootstrap_token(&create)
    }

    /// The answers to one form that is posted so many times at once, to one replica and the other
    /// in turn, each from an address of its own so that no limit of failures hides a success.
    fn at_once(&self, target: &str, body: &str) -> Vec<Response> {
        let start = Barrier::new(AT_ONCE);
        let start = &start;
        scope(|scope| {
            let callers: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let port = self.services[number % self.services.len()].port;
                    let call = move || {
                        let address = format!("10.0.{}.{}", number / 250, number % 250);
                        let headers = [
                            ("content-type", "application/x-www-form-urlencoded"),
                            ("x-forwarded-for", address.as_str()),
                        ];
                        start.wait();
                        http::send(port, "POST", target, &headers, body).unwrap()
                    };
                    let builder = Builder::new().stack_size(256 * 1024);
                    builder.spawn_scoped(scope, call).unwrap()
                })
                .collect();
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap())
                .collect()
        })
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no `{name}`: {value}"))
}

/// The one answer that is 200; all others refuse the grant.
fn one_won(answers: &[Response]) -> Value {
    let (won, lost): (Vec<&Response>, Vec<&Response>) =
        answers.iter().partition(|answer| answer.status == 200);
    for answer in &lost {
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["error"]),
            (400, &json!("invalid_grant")),
            "{answer:?}"
        );
    }
    assert_eq!((won.len(), lost.len()), (1, AT_ONCE - 1));
    won[0].json()
}

fn introspect(service: &Service, caller: &str, token: &str) -> Value {
    let authorization = format!("Bearer {caller}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", authorization.as_str()),
    ];
    let body = format!("token={token}");
    let target = "/oauth/introspect";
    let answer = http::send(service.port, "POST", target, &headers, &body).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn of_a_thousand_who_use_one_token_at_once_one_wins() {
    let replicas = Replicas::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let (one, other) = replicas.both();
    let caller = one.redeem(&replicas.bootstrap_token()).json();
    let caller = text(&caller, "access_token");

    let exchange = format!(
        "grant_type={TOKEN_EXCHANGE}&subject_token_type={BOOTSTRAP_TOKEN}&subject_token={}",
        replicas.bootstrap_token()
    );
    let answers = replicas.at_once("/oauth/token", &exchange.replace(':', "%3A"));
    let issued = one_won(&answers);
    assert_eq!(
        introspect(other, caller, text(&issued, "access_token"))["active"],
        true,
        "who lost has ended nothing"
    );

    let refresh = format!(
        "grant_type=refresh_token&refresh_token={}",
        text(&issued, "refresh_token")
    );
    let next = one_won(&replicas.at_once("/token", &refresh));
    for service in [one, other] {
        let refused = service.refresh(text(&next, "refresh_token"));
        assert_eq!(refused.status, 400, "its family is revoked: {refused:?}");
        let told = introspect(service, caller, text(&next, "access_token"));
        assert_eq!(told, json!({"active": false}));
    }
}

#[test]
fn what_one_replica_issues_the_other_knows() {
    let replicas = Replicas::start(&[]);
    let (one, other) = replicas.both();
    assert_eq!(
        one.get("/.well-known/jwks.json").json(),
        other.get("/.well-known/jwks.json").json()
    );
    let caller = other.redeem(&replicas.bootstrap_token()).json();
    let caller = text(&caller, "access_token");

    let first = one.redeem(&replicas.bootstrap_token()).json();
    let (code, verified) = other.verify("smd", text(&first, "access_token"));
    assert_eq!(code, Some(0), "{verified}");
    let second = other.refresh(text(&first, "refresh_token")).json();
    for token in ["access_token", "refresh_token"] {
        let token = text(&second, token);
        let told = introspect(one, caller, token);
        assert_eq!(told["active"], true, "{told}");
        assert_eq!(told["sub"], "boot-service", "{told}");
    }
    let access = text(&second, "access_token");
    assert_eq!(one.form("/oauth/revoke", &[("token", access)]).status, 200);
    assert_eq!(introspect(other, caller, access)["active"], false);
    let refresh = text(&second, "refresh_token");
    assert_eq!(introspect(one, caller, refresh)["active"], true);
    assert_eq!(one.form("/oauth/revoke", &[("token", refresh)]).status, 200);
    assert_eq!(introspect(other, caller, refresh)["active"], false);
    assert_eq!(other.refresh(refresh).status, 400);
}

#[test]
fn failures_at_one_replica_count_at_the_other() {
    let replicas = Replicas::start(&[]);
    let (one, other) = replicas.both();
    let token = replicas.bootstrap_token();
    for service in [one, other, one, other, one] {
        assert_eq!(service.redeem("guess").status, 400);
    }
    for service in [other, one] {
        let refused = service.redeem(&token);
        assert_eq!(refused.status, 429, "{refused:?}");
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
}

#[test]
fn a_database_that_is_away_is_told_soon_and_taken_back_without_a_restart() {
    let mut replicas = Replicas::start(&[]);
    let tokens = [(); 2].map(|()| replicas.bootstrap_token());
    let [issued, other_issued] = [(); 2].map(|()| {
        replicas.services[0]
            .redeem(&replicas.bootstrap_token())
            .json()
    });
    let refresh_token = text(&issued, "refresh_token");
    let access_token = text(&other_issued, "access_token");

    replicas.postgres.stop();
    let ask = |number: usize| {
        let service = &replicas.services[number % 2];
        match number / 2 % 4 {
            0 => service.redeem(&tokens[number % 2]),
            1 => service.refresh(refresh_token),
            2 => service.form("/oauth/revoke", &[("token", access_token)]),
            _ => service.get("/ready"),
        }
    };
    let ask = &ask;
    // At first the connections that were there end, then there are none.
    for _ in 0..2 {
        scope(|scope| {
            for number in 0..CALLERS {
                scope.spawn(move || {
                    let began = Instant::now();
                    let answer = ask(number);
                    assert!(began.elapsed() < SOON, "{:?}: {answer:?}", began.elapsed());
                    expect_unavailable(&answer);
                });
            }
        });
    }
    for service in &replicas.services {
        assert_eq!(service.get("/health").status, 200);
        let keys = service.get("/.well-known/jwks.json").json();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
        let target = "/.well-known/oauth-authorization-server";
        assert_eq!(service.get(target).status, 200);
    }
    let began = Instant::now();
    let message = replicas.replica("c", &[]).unwrap_err();
    assert!(began.elapsed() < 2 * SOON, "{:?}", began.elapsed());
    assert!(message.contains("store"), "{message}");

    replicas.postgres.start_again();
    for (service, token) in replicas.services.iter().zip(&tokens) {
        let end = Instant::now() + 2 * SOON;
        while service.get("/ready").status != 200 {
            assert!(Instant::now() < end, "not ready again");
            sleep(Duration::from_millis(100));
        }
        let redeemed = service.redeem(token);
        assert_eq!(redeemed.status, 200, "nothing was used up: {redeemed:?}");
    }
    let (one, other) = replicas.both();
    assert_eq!(one.refresh(refresh_token).status, 200);
    let caller = other.redeem(&replicas.bootstrap_token()).json();
    let told = introspect(other, text(&caller, "access_token"), access_token);
    assert_eq!(told["active"], true, "what was not done is not there");
}

fn expect_unavailable(answer: &Response) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

#[test]
fn replicas_that_start_at_once_make_one_schema_and_one_key() {
    for _ in 0..3 {
        let mut replicas = Replicas {
            services: Vec::new(),
            postgres: Postgres::start(),
            scratch: Scratch::new(),
        };
        let names = ["a", "b", "c", "d"];
        let start = Barrier::new(names.len());
        let (shared, start) = (&replicas, &start);
        let services: Vec<Service> = scope(|scope| {
            let starting = names.map(|name| {
                scope.spawn(move || {
                    start.wait();
                    shared.replica(name, &[]).unwrap()
                })
            });
            starting.map(|one| one.join().unwrap()).into()
        });
        replicas.services = services;
        let once = "SELECT COUNT(*) = MAX(version) FROM tokensmith_schema";
        assert_eq!(replicas.postgres.query(once), "t", "each step once");
        let keys: Vec<Value> = replicas
            .services
            .iter()
            .map(|service| service.get("/.well-known/jwks.json").json())
            .collect();
        assert!(keys.iter().all(|one| *one == keys[0]), "{keys:?}");
        let token = replicas.bootstrap_token();
        assert_eq!(replicas.services[3].redeem(&token).status, 200);
        assert_eq!(replicas.services[2].redeem(&token).status, 400);
    }
}

#[test]
fn the_store_of_a_newer_version_is_left_alone() {
    let replicas = Replicas::start(&[]);
    let known = "SELECT MAX(version) FROM tokensmith_schema";
    let known = replicas.postgres.query(known);
    let insert = "INSERT INTO tokensmith_schema VALUES (999)";
    replicas.postgres.query(insert);
    let message = replicas.replica("c", &[]).unwrap_err();
    for part in ["999", known.as_str(), "upgrade"] {
        assert!(message.contains(part), "`{part}`: {message}");
    }
    let count = "SELECT COUNT(*) FROM tokensmith_schema WHERE version = 999";
    assert_eq!(replicas.postgres.query(count), "1");
}

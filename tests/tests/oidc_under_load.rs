//! OpenID providers that change, or go away, while tokens are exchanged without a pause.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokensmith_tests::load::{Load, exchange, outcome};
use tokensmith_tests::oidc::OidcProvider;
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{Service, run};

/// After that long a new `kid` has the keys fetched again: 5 s by the clock of whole seconds.
const COOLDOWN: Duration = Duration::from_millis(5500);
/// The longest that the service waits for the provider.
const TIMEOUT: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
/// Fewer exchanges than this are no load.
const SOME: usize = 20;

const GOOD: &str = "200";
const UNKNOWN_KEY: &str = "401 kid_unknown";
const OTHER_ISSUER: &str = "401 issuer_refused";

fn service(scratch: &Scratch, oidc: &OidcProvider, arguments: &[&str]) -> Service {
    let mut all = vec![
        "--oidc-issuer",
        oidc.issuer.as_str(),
        "--oidc-client-id",
        oidc.client_id.as_str(),
    ];
    all.extend(arguments);
    // A line for each exchange would be the test's to keep.
    let quiet = [("RUST_LOG", "error")];
    Service::start_with_environment(scratch.path(), &all, &quiet).unwrap()
}

/// ID tokens of users who sign in at the same time.
fn logins(oidc: &OidcProvider, users: &[&str]) -> Vec<String> {
    scope(|scope| {
        let signing_in: Vec<_> = users
            .iter()
            .map(|user| scope.spawn(move || oidc.login(user)))
            .collect();
        signing_in
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect()
    })
}

fn sleep_until(then: Instant) {
    sleep(then.saturating_duration_since(Instant::now()));
}

/// Tries until it is so, for at most ten seconds.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + 10 * SECOND;
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(100));
    }
}

/// How often the provider's keys were fetched, and how often that failed.
fn fetches(service: &Service) -> (u64, u64) {
    let metrics = service.get("/metrics").body;
    let count = |outcome: &str| {
        let name = format!("tokensmith_oidc_fetches_total{{outcome=\"{outcome}\"}} ");
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name.as_str()));
        value.unwrap().parse::<u64>().unwrap()
    };
    (count("ok"), count("failed"))
}

/// What the admin listener answers to a request for its configuration.
fn admin(socket: &Path, method: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(
        stream,
        "{method} /admin/oidc/config HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn rotated_keys_cost_no_exchange() {
    const GROUPS: [&str; 4] = ["first", "second", "third", "fourth"];
    let oidc = OidcProvider::start();
    let scratch = Scratch::new();
    let service = service(&scratch, &oidc, &[]);
    let first = logins(&oidc, &["alice", "bob", "carol"]);
    let began = Instant::now();
    let load = Load::start(&[service.port]);
    load.add(GROUPS[0], &first);
    let mut fetched = Instant::now();
    let mut withdrawn = Instant::now();
    for group in GROUPS.into_iter().skip(1) {
        if group == GROUPS[3] {
            withdrawn = Instant::now();
            oidc.rotate_keys();
        } else {
            oidc.rotate_keys_and_keep();
        }
        let tokens = logins(&oidc, &["bob", "carol"]);
        sleep_until(fetched + COOLDOWN);
        load.add(group, &tokens);
        fetched = Instant::now();
    }
    sleep(SECOND);
    let exchanges = load.stop();

    let mut outcomes: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for exchange in &exchanges {
        // The keys before the last were good until they were withdrawn.
        let good = exchange.group == GROUPS[3] || exchange.began < withdrawn;
        let fine = exchange.outcome == GOOD || (!good && exchange.outcome == UNKNOWN_KEY);
        assert!(fine, "{exchange:?}");
        let (count, last) = outcomes.entry(exchange.group).or_default();
        *count += 1;
        *last = exchange.outcome.as_str();
    }
    for group in GROUPS {
        let (count, last) = outcomes[group];
        assert!(count >= SOME, "{outcomes:?}");
        let expected = if group == GROUPS[3] {
            GOOD
        } else {
            UNKNOWN_KEY
        };
        assert_eq!(last, expected, "{outcomes:?}");
    }
    // One at first and one for each rotation; withdrawn keys may be asked for once in a while.
    let (fetched, failed) = fetches(&service);
    let most = began.elapsed().as_secs() / 5 + 1;
    assert!((4..=most).contains(&fetched), "{fetched}, at most {most}");
    assert_eq!(failed, 0);
}

#[test]
fn a_provider_takes_anothers_place() {
    let (former, next) = (OidcProvider::start(), OidcProvider::start());
    let postgres = Postgres::start();
    let folders = [Scratch::new(), Scratch::new()];
    let (store, keys) = (postgres.url(), folders[0].path().join("keys"));
    let shared = ["--store", &store, "--key-dir", keys.to_str().unwrap()];
    let socket = folders[0].path().join("admin.sock");
    let listen = format!("unix:{}", socket.display());
    let administered = [shared.as_slice(), ["--admin-listen", &listen].as_slice()].concat();
    let one = service(&folders[0], &former, &administered);
    let other = service(&folders[1], &former, &shared);
    let tokens = [
        logins(&former, &["alice", "bob"]),
        logins(&next, &["bob", "carol"]),
    ];
    let load = Load::start(&[one.port, other.port]);
    let fetched = Instant::now();
    load.add("former", &tokens[0]);
    load.add("next", &tokens[1]);

    // An exchange that began before the change and ends after it: its key has to be fetched, and
    // the provider keeps silent.
    former.rotate_keys_and_keep();
    let late = former.login("carol");
    sleep_until(fetched + COOLDOWN + Duration::from_millis(500));
    former.pause();
    let (port, token) = (one.port, late.clone());
    let waiting = std::thread::spawn(move || exchange(port, &token));
    sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished());
    let swapping = Instant::now();
    let change = json!({
        "issuer_url": next.issuer, "client_id": next.client_id, "replace_existing": true,
    });
    let (status, answer) = admin(&socket, "POST", &change.to_string());
    let swapped = Instant::now();
    assert_eq!((status, &answer["status"]), (200, &json!("replaced")));
    assert!(!waiting.is_finished());
    former.resume();
    assert_eq!(outcome(&waiting.join().unwrap()), GOOD);
    assert_eq!(outcome(&exchange(one.port, &late)), OTHER_ISSUER);
    eventually("the other replica has the new provider", || {
        other.get("/health").json()["oidc_issuer"] == next.issuer
    });
    let followed = Instant::now();
    sleep(SECOND);

    let mut told: BTreeMap<(&str, bool, &str), usize> = BTreeMap::new();
    for exchange in load.stop() {
        let is_other = exchange.port == other.port;
        let changed = if is_other { followed } else { swapped };
        let time = if exchange.began < swapping {
            "before"
        } else if exchange.began > changed {
            "after"
        } else {
            "between"
        };
        let expected: &[&str] = match (exchange.group, time) {
            ("former", "before") | ("next", "after") => &[GOOD],
            ("former", "after") => &[OTHER_ISSUER],
            _ => &[GOOD, OTHER_ISSUER],
        };
        let outcome = exchange.outcome.as_str();
        assert!(
            expected.contains(&outcome),
            "{time} {is_other} {exchange:?}"
        );
        *told.entry((exchange.group, is_other, time)).or_default() += 1;
    }
    for group in ["former", "next"] {
        for is_other in [false, true] {
            for time in ["before", "after"] {
                let count = told.get(&(group, is_other, time));
                assert!(count.is_some_and(|count| *count >= SOME), "{told:?}");
            }
        }
    }
}

#[test]
fn a_provider_that_goes_away_keeps_nobody_from_its_keys() {
    let mut oidc = OidcProvider::start();
    let scratch = Scratch::new();
    let timeout = format!("{}s", TIMEOUT.as_secs());
    let service = service(&scratch, &oidc, &["--oidc-timeout", &timeout]);
    let known = logins(&oidc, &["alice", "bob"]);
    let load = Load::start(&[service.port]);
    load.add("known", &known);
    let fetched = Instant::now();
    sleep(SECOND / 2);
    oidc.kill();
    let killed = Instant::now();
    sleep(SECOND / 2);
    let returning = Instant::now();
    oidc.start_again();
    oidc.rotate_keys_and_keep();
    let fresh = oidc.login("carol");
    sleep_until(fetched + COOLDOWN);

    // Nobody knows whether a silent provider has the key: the callers are told to come again.
    oidc.pause();
    let paused = Instant::now();
    let answers: Vec<_> = scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| exchange(service.port, &fresh).unwrap()))
            .collect();
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let waited = paused.elapsed();
    for answer in &answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert!(waited < TIMEOUT + SECOND, "{waited:?}");
    let again = Instant::now();
    let answer = service.exchange(&fresh, "");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(again.elapsed() < SECOND, "it is not asked again so soon");
    let resumed = Instant::now();
    oidc.resume();
    eventually("the provider's new key is there", || {
        let answer = service.exchange(&fresh, "");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200
    });
    sleep(SECOND / 2);

    let exchanges = load.stop();
    for exchange in &exchanges {
        assert_eq!(exchange.outcome, GOOD, "{exchange:?}");
        // Less than the provider was given: nobody waited for it.
        assert!(exchange.took() < TIMEOUT * 3 / 4, "{exchange:?}");
    }
    for (since, until) in [(killed, returning), (paused, resumed)] {
        let within = |began: Instant| since < began && began < until;
        let count = exchanges.iter().filter(|one| within(one.began)).count();
        assert!(count >= SOME, "{count}");
    }
    let (fetched, failed) = fetches(&service);
    assert_eq!(fetched, 2);
    assert!((1..=2).contains(&failed), "{failed}");
}

/// The status of a request with exactly these headers, and a body that would be good.
fn status(port: u16, method: &str, target: &str, headers: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(10 * SECOND)).unwrap();
    let request = format!(
        "{method} {target} HTTP/1.1\r\n{headers}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// As [`status`], by HTTP/2 and without a body: curl fails where an answer comes before its end.
fn status_of_http_2(port: u16, method: &str, target: &str, header: &str) -> String {
    let output = run(Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--path-as-is"])
        .args(["--max-time", "10", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code} %{http_version}"])
        .args(["--request", method, "--header", header])
        .arg(format!("http://127.0.0.1:{port}{target}")));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn no_header_and_no_spelling_reaches_the_admin_endpoints() {
    let oidc = OidcProvider::start();
    let scratch = Scratch::new();
    let socket = scratch.path().join("admin.sock");
    let listen = format!("unix:{}", socket.display());
    let trusting = [
        ["--admin-listen", &listen],
        ["--trusted-proxy", "0.0.0.0/0,::/0"],
    ]
    .concat();
    let service = Service::start(scratch.path(), &trusting).unwrap();
    let body = json!({"issuer_url": oidc.issuer, "client_id": oidc.client_id}).to_string();
    let headers = [
        "host: 127.0.0.1\r\n",
        "host: localhost\r\n",
        "host: test\r\nx-forwarded-for: 127.0.0.1\r\n",
        "host: test\r\nx-forwarded-for: ::1\r\n",
        "host: test\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-for: 127.0.0.1\r\n",
        "host: test\r\nforwarded: for=127.0.0.1;by=127.0.0.1;host=127.0.0.1\r\n",
        "host: test\r\nforwarded: for=\"[::1]\"\r\n",
        "host: test\r\nx-real-ip: 127.0.0.1\r\nx-client-ip: 127.0.0.1\r\n",
        "host: test\r\nx-forwarded-host: localhost\r\nx-forwarded-prefix: /admin\r\n",
        "host: test\r\nx-original-url: /admin/oidc/config\r\n",
        "host: test\r\nx-rewrite-url: /admin/oidc/config\r\n",
    ];
    let targets = [
        "/admin/oidc/config",
        "/admin/oidc/config/",
        "/admin/oidc/config?x=1",
        "/admin/oidc/config;x",
        "/./admin/oidc/config",
        "//admin/oidc/config",
        "/admin//oidc/config",
        "/oauth/../admin/oidc/config",
        "/oauth/%2e%2e/admin/oidc/config",
        "/admin%2foidc%2fconfig",
        "/%61dmin/oidc/config",
        "/ADMIN/oidc/config",
        "/admin",
        "http://127.0.0.1/admin/oidc/config",
        "http://localhost/admin/oidc/config",
    ];
    let port = service.port;
    for header in headers {
        for target in targets {
            for method in ["GET", "POST", "PUT"] {
                let status = status(port, method, target, header, &body);
                assert_eq!(status, 404, "{method} {target} {header}");
            }
        }
    }
    assert_eq!(status(port, "GET", "/health", headers[0], ""), 200);
    for target in targets.iter().filter(|target| target.starts_with('/')) {
        for (method, header) in [
            ("GET", "x-forwarded-for: 127.0.0.1"),
            ("POST", "host: 127.0.0.1"),
        ] {
            let status = status_of_http_2(port, method, target, header);
            assert_eq!(status, "404 2", "{method} {target} {header}");
        }
    }
    let (status, answer) = admin(&socket, "GET", "");
    assert_eq!((status, &answer["status"]), (200, &json!("not_configured")));
    assert_eq!(service.get("/health").json()["oidc_issuer"], "");
}

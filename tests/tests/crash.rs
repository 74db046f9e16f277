//! The real service is killed while clients use it, at points that nobody chose, and started
//! again: what was answered holds, and what was not answered is either done or not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokensmith::store::{NewBootstrapToken, OpaqueDigest, Store, StoreLocation};
use tokensmith_engine::exchange::ServiceGrant;
use tokensmith_engine::jose::decode_base64url;
use tokensmith_tests::http;
use tokensmith_tests::postgres::Postgres;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::service::{BOOTSTRAP_TOKEN, Service, TOKEN_EXCHANGE, run, tokensmith};
use tokensmith_tests::tokens::now;

/// Kills while clients use the service; there are more while it starts.
const SQLITE_KILLS: usize = 80;
const POSTGRES_KILLS: usize = 20;
const CLIENTS: usize = 4;
/// Bootstrap tokens that each client has for one round.
const TOKENS: usize = 4;
/// Families that a client keeps from round to round.
const FAMILIES: usize = 4;
/// The longest time from the start of the clients to the kill, in milliseconds.
const LONGEST: u64 = 120;
/// The longest time from the start of the program to the kill, in milliseconds.
const LONGEST_START: u64 = 15;

const LOG: &str = "audit.jsonl";
/// To have a run again: its clients and kills, though not the system's turns.
const SEED: &str = "TOKENSMITH_CRASH_SEED";

#[test]
fn what_was_answered_survives_kills_on_sqlite() {
    let scratch = Scratch::new();
    let store = format!("sqlite:{}", scratch.path().join("store.db").display());
    crash(scratch.path(), &store, SQLITE_KILLS);
    let checked = run(tokensmith(scratch.path()).args(["store", "check", "--store", &store]));
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn what_was_answered_survives_kills_on_postgresql() {
    let (postgres, scratch) = (Postgres::start(), Scratch::new());
    crash(scratch.path(), &postgres.url(), POSTGRES_KILLS);
}

fn crash(folder: &Path, store: &str, kills: usize) {
    let mut random = Random(seed());
    println!("{SEED}={}", random.0);
    let began = Instant::now();
    // From an address of its own each request is let in, however many failed before.
    let arguments = [
        "--store",
        store,
        "--audit-log",
        LOG,
        "--trusted-proxy",
        "127.0.0.0/8",
    ];
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(random.number())).collect();
    let fresh = make_bootstrap_tokens(store, kills * CLIENTS * TOKENS);
    let mut fresh = fresh.chunks(TOKENS);
    let mut audit = Audit::default();
    for kill in 0..kills {
        if random.below(4) == 0 {
            kill_while_it_starts(folder, &arguments, random.below(LONGEST_START));
        }
        let service = start(folder, &arguments);
        check(&mut clients, service.port);
        let lifetime = Duration::from_millis(random.below(LONGEST));
        scope(|scope| {
            for client in &mut clients {
                client.fresh.extend_from_slice(fresh.next().unwrap());
                let port = service.port;
                scope.spawn(move || client.work(port));
            }
            sleep(lifetime);
            drop(service);
        });
        audit.look(folder, &clients, kill);
    }
    let service = start(folder, &arguments);
    check(&mut clients, service.port);
    for client in &mut clients {
        // All of them, not only those of the last round.
        client.redeemed = std::mem::take(&mut client.redeemed_before);
    }
    check(&mut clients, service.port);
    drop(service);
    audit.look(folder, &clients, kills);
    let answered: usize = clients.iter().map(|client| client.jtis.len()).sum();
    let lost: usize = clients.iter().map(|client| client.lost).sum();
    println!(
        "{kills} kills, {answered} tokens issued, {lost} answers lost, {:?}",
        began.elapsed()
    );
    assert!(answered > kills, "too little was done to show anything");
}

fn start(folder: &Path, arguments: &[&str]) -> Service {
    Service::start(folder, arguments).unwrap_or_else(|error| panic!("no start: {error}"))
}

fn kill_while_it_starts(folder: &Path, arguments: &[&str], milliseconds: u64) {
    let mut child = tokensmith(folder)
        .args(["serve", "--listen-address", "127.0.0.1", "--port", "0"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// With a store of the tests' own: a process for each would take longer than all the rest.
fn make_bootstrap_tokens(store: &str, count: usize) -> Vec<String> {
    let location: StoreLocation = store.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let tokens: Vec<String> = (0..count).map(|number| format!("b-{number}")).collect();
    runtime.block_on(async {
        let store = Store::open(&location).await.unwrap();
        let made = tokens.iter().map(|token| {
            let (store, digest) = (store.clone(), OpaqueDigest::of(token));
            tokio::spawn(async move {
                let grant = ServiceGrant {
                    subject: "boot-service".to_owned(),
                    audience: vec!["smd".to_owned()],
                    scopes: vec!["read".to_owned()],
                    roles: vec!["service".to_owned()],
                };
                let token = NewBootstrapToken {
                    digest,
                    grant,
                    binding_identifier: None,
                    created_at: now(),
                    expires_at: now() + 3600,
                    refresh_ttl: 3600,
                };
                store.create_bootstrap(&token).await.unwrap();
            })
        });
        for one in made.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        store.close().await;
    });
    tokens
}

fn check(clients: &mut [Client], port: u16) {
    scope(|scope| {
        for client in clients {
            scope.spawn(move || client.check(port));
        }
    });
}

/// What one client was answered, and what it may hold the service to.
#[derive(Debug)]
struct Client {
    random: Random,
    /// Bootstrap tokens that nobody has used.
    fresh: Vec<String>,
    /// Refresh tokens it was answered and has not used since.
    current: Vec<String>,
    /// Bootstrap tokens that were answered, since the last check and before it.
    redeemed: Vec<String>,
    redeemed_before: Vec<String>,
    /// Refresh tokens whose revocation was answered.
    revoked: Vec<String>,
    /// Used, and the answer was lost.
    unsure_bootstrap: Vec<String>,
    unsure_refresh: Vec<String>,
    lost: usize,
    /// Of the access tokens it was answered.
    jtis: Vec<String>,
}

/// What came of a request.
enum Answer {
    Ok(Value),
    Refused(u16, String),
    Lost,
}

impl Client {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            fresh: Vec::new(),
            current: Vec::new(),
            redeemed: Vec::new(),
            redeemed_before: Vec::new(),
            revoked: Vec::new(),
            unsure_bootstrap: Vec::new(),
            unsure_refresh: Vec::new(),
            lost: 0,
            jtis: Vec::new(),
        }
    }

    /// Uses the service until an answer is lost.
    fn work(&mut self, port: u16) {
        let lost = loop {
            let answered = match self.random.below(10) {
                0..3 if !self.fresh.is_empty() => self.redeem(port),
                3 if self.current.len() > 1 => self.revoke(port),
                _ if !self.current.is_empty() => self.refresh(port),
                _ if !self.fresh.is_empty() => self.redeem(port),
                _ => break false,
            };
            if !answered {
                break true;
            }
        };
        self.lost += usize::from(lost);
    }

    fn redeem(&mut self, port: u16) -> bool {
        let token = self.fresh.pop().unwrap();
        match redeem(port, &token) {
            Answer::Ok(body) => {
                self.take(&body);
                self.redeemed.push(token);
                true
            }
            Answer::Refused(status, body) => panic!("a good token was refused: {status} {body}"),
            Answer::Lost => {
                self.unsure_bootstrap.push(token);
                false
            }
        }
    }

    fn refresh(&mut self, port: u16) -> bool {
        let token = self.any_current();
        match refresh(port, &token) {
            Answer::Ok(body) => {
                self.take(&body);
                true
            }
            Answer::Refused(status, body) => panic!("a good token was refused: {status} {body}"),
            Answer::Lost => {
                self.unsure_refresh.push(token);
                false
            }
        }
    }

    fn revoke(&mut self, port: u16) -> bool {
        let token = self.any_current();
        match post(port, "/oauth/revoke", &format!("token={token}")) {
            Answer::Ok(_) => {
                self.revoked.push(token);
                true
            }
            Answer::Refused(status, body) => panic!("not revoked: {status} {body}"),
            // Whether it is good is not known, and need not be.
            Answer::Lost => false,
        }
    }

    fn any_current(&mut self) -> String {
        let count = u64::try_from(self.current.len()).unwrap();
        let index = usize::try_from(self.random.below(count)).unwrap();
        self.current.swap_remove(index)
    }

    fn take(&mut self, body: &Value) {
        let text = |name: &str| match body[name].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("no `{name}`: {body}"),
        };
        self.current.push(text("refresh_token"));
        self.jtis.push(jti(&text("access_token")));
    }

    /// Holds the service, which was started again, to what it has answered.
    fn check(&mut self, port: u16) {
        let redeemed = std::mem::take(&mut self.redeemed);
        for token in &redeemed {
            expect_refused(redeem(port, token), "answered before");
        }
        self.redeemed_before.extend(redeemed);
        for token in std::mem::take(&mut self.unsure_bootstrap) {
            self.once_or_never(redeem(port, &token));
            expect_refused(redeem(port, &token), "used twice");
        }
        for token in std::mem::take(&mut self.revoked) {
            expect_refused(refresh(port, &token), "revoked before");
        }
        for (index, token) in std::mem::take(&mut self.current).into_iter().enumerate() {
            match refresh(port, &token) {
                Answer::Ok(body) => self.take(&body),
                Answer::Refused(status, body) => {
                    panic!("an answered token was lost: {status} {body}")
                }
                Answer::Lost => panic!("no answer"),
            }
            if index >= FAMILIES {
                expect_refused(refresh(port, &token), "good once");
                let next = self.current.pop().unwrap();
                expect_refused(refresh(port, &next), "of a revoked family");
            }
        }
        for token in std::mem::take(&mut self.unsure_refresh) {
            self.once_or_never(refresh(port, &token));
        }
    }

    /// What was done before the kill is not done again; what was not is done now.
    fn once_or_never(&mut self, answer: Answer) {
        match answer {
            Answer::Ok(body) => self.take(&body),
            Answer::Refused(400, _) => {}
            Answer::Refused(status, body) => panic!("{status} {body}"),
            Answer::Lost => panic!("no answer"),
        }
    }
}

fn expect_refused(answer: Answer, why: &str) {
    match answer {
        Answer::Refused(400, body) if body.contains("invalid_grant") => {}
        Answer::Refused(status, body) => panic!("{why}: {status} {body}"),
        Answer::Ok(body) => panic!("{why}, and accepted: {body}"),
        Answer::Lost => panic!("{why}: no answer"),
    }
}

fn redeem(port: u16, token: &str) -> Answer {
    let body = format!(
        "grant_type={TOKEN_EXCHANGE}&subject_token_type={BOOTSTRAP_TOKEN}&subject_token={token}"
    );
    post(port, "/oauth/token", &body.replace(':', "%3A"))
}

fn refresh(port: u16, token: &str) -> Answer {
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    post(port, "/token", &body)
}

fn post(port: u16, target: &str, body: &str) -> Answer {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let [_, high, middle, low] = CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let address = format!("10.{high}.{middle}.{low}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-for", address.as_str()),
    ];
    let Ok(answer) = http::send(port, "POST", target, &headers, body) else {
        return Answer::Lost;
    };
    if answer.status != 200 {
        return Answer::Refused(answer.status, answer.body);
    }
    if target == "/oauth/revoke" {
        // It has no body.
        return Answer::Ok(Value::Null);
    }
    match serde_json::from_str(&answer.body) {
        Ok(body) => Answer::Ok(body),
        // The end of it is missing.
        Err(_) => Answer::Lost,
    }
}

fn jti(access_token: &str) -> String {
    let payload = access_token.split('.').nth(1).unwrap();
    let payload = decode_base64url(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

/// What has been seen of the audit log.
#[derive(Debug, Default)]
struct Audit {
    read: u64,
    jtis: HashSet<String>,
}

impl Audit {
    /// The chain is whole, and has each token that was answered.
    fn look(&mut self, folder: &Path, clients: &[Client], kill: usize) {
        let verdict = verify(folder);
        if verdict["valid"] != true {
            assert_eq!(verdict["code"], "audit_cut", "kill {kill}: {verdict}");
            cut_back(&folder.join(LOG));
            let verdict = verify(folder);
            assert_eq!(verdict["valid"], true, "kill {kill}: {verdict}");
        }
        let mut file = OpenOptions::new()
            .read(true)
            .open(folder.join(LOG))
            .unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        self.read += u64::try_from(file.read_to_string(&mut text).unwrap()).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(jti) = line["jti"].as_str() {
                self.jtis.insert(jti.to_owned());
            }
        }
        for jti in clients.iter().flat_map(|client| &client.jtis) {
            assert!(self.jtis.contains(jti), "kill {kill}: `{jti}` not audited");
        }
    }
}

fn verify(folder: &Path) -> Value {
    let output = run(tokensmith(folder).args(["audit", "verify", "--json", LOG]));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

/// What an operator is told to do about a line without an end.
fn cut_back(log: &Path) {
    let bytes = std::fs::read(log).unwrap();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let length = whole.map_or(0, |end| end + 1);
    let file = OpenOptions::new().write(true).open(log).unwrap();
    file.set_len(u64::try_from(length).unwrap()).unwrap();
}

fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            (u64::from(time.subsec_nanos()) << 32) | (time.as_secs() & 0xffff_ffff)
        }
    }
}

/// SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }
}

//! Callers who exchange ID tokens without a pause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::http::{self, Response};

/// Callers at a time.
const CALLERS: usize = 4;

/// Running callers; they end with their handle.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

/// One exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The group that its token is of.
    pub group: &'static str,
    /// Where it was exchanged.
    pub port: u16,
    /// When it was sent.
    pub began: Instant,
    /// When the answer was there.
    pub ended: Instant,
    /// As [`outcome`] tells it.
    pub outcome: String,
}

#[derive(Debug, Default)]
struct Shared {
    tokens: RwLock<Vec<(&'static str, Arc<str>)>>,
    exchanges: Mutex<Vec<Exchange>>,
    over: AtomicBool,
}

impl Load {
    /// Starts the callers, at the services on `ports` in turn. They wait for tokens.
    pub fn start(ports: &[u16]) -> Self {
        let shared = Arc::new(Shared::default());
        let callers = (0..CALLERS)
            .map(|number| {
                let (shared, port) = (Arc::clone(&shared), ports[number % ports.len()]);
                spawn(move || call(&shared, port, number))
            })
            .collect();
        Self { shared, callers }
    }

    /// Has these exchanged too, from now on.
    pub fn add(&self, group: &'static str, tokens: &[String]) {
        let tokens = tokens
            .iter()
            .map(|token| (group, Arc::<str>::from(token.as_str())));
        self.shared.tokens.write().unwrap().extend(tokens);
    }

    /// Ends the callers: all exchanges, in the order in which they ended.
    ///
    /// # Panics
    /// When a caller did.
    pub fn stop(mut self) -> Vec<Exchange> {
        self.shared.over.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            caller.join().unwrap();
        }
        std::mem::take(&mut *self.shared.exchanges.lock().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Exchange {
    /// How long the answer took.
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }
}

/// Exchanges an ID token.
///
/// # Errors
/// When nothing answers.
pub fn exchange(port: u16, id_token: &str) -> std::io::Result<Response> {
    let authorization = format!("Bearer {id_token}");
    let headers = [("authorization", authorization.as_str())];
    http::send(port, "POST", "/oauth/exchange", &headers, "")
}

/// `200`, a refusal's status and code, or what happened instead of an answer.
pub fn outcome(answer: &std::io::Result<Response>) -> String {
    match answer {
        Ok(answer) if answer.status == 200 => "200".to_owned(),
        Ok(answer) => {
            let code = answer.json()["code"].as_str().unwrap_or("none").to_owned();
            format!("{} {code}", answer.status)
        }
        Err(error) => format!("no answer: {error}"),
    }
}

fn call(shared: &Shared, port: u16, caller: usize) {
    let mut number = caller;
    while !shared.over.load(Ordering::Relaxed) {
        let next = {
            let tokens = shared.tokens.read().unwrap();
            number += 1;
            tokens.get(number % tokens.len().max(1)).cloned()
        };
        let Some((group, token)) = next else {
            sleep(Duration::from_millis(1));
            continue;
        };
        let began = Instant::now();
        let answer = exchange(port, &token);
        let exchange = Exchange {
            group,
            port,
            began,
            ended: Instant::now(),
            outcome: outcome(&answer),
        };
        shared.exchanges.lock().unwrap().push(exchange);
    }
}

//! Callers that send requests without a pause, each on a connection that it keeps.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Running callers; they end with their handle.
#[derive(Debug)]
pub struct Callers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How many requests had which end: a status, or what happened instead of an answer.
pub type Ends = BTreeMap<String, u64>;

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    sent: AtomicU64,
    ends: Mutex<Ends>,
}

impl Callers {
    /// Starts `count` callers of a port of this machine. `request` gives, by the request's number,
    /// the target and the value of `authorization`.
    pub fn start(
        port: u16,
        count: usize,
        request: impl Fn(u64) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        let (shared, request) = (Arc::new(Shared::default()), Arc::new(request));
        let threads = (0..count)
            .map(|_| {
                let (shared, request) = (Arc::clone(&shared), Arc::clone(&request));
                spawn(move || call(&shared, port, request.as_ref()))
            })
            .collect();
        Self { shared, threads }
    }

    /// How many requests have been sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// The ends so far.
    ///
    /// # Panics
    /// When a caller did.
    pub fn ends(&self) -> Ends {
        self.shared.ends.lock().unwrap().clone()
    }

    /// Ends the callers: all ends.
    ///
    /// # Panics
    /// When a caller did.
    pub fn stop(mut self) -> Ends {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.ends()
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

fn call(shared: &Shared, port: u16, request: &(impl Fn(u64) -> (String, String) + ?Sized)) {
    let mut kept = None;
    while !shared.over.load(Ordering::Relaxed) {
        let number = shared.sent.fetch_add(1, Ordering::Relaxed);
        let (target, authorization) = request(number);
        let end = match ask(&mut kept, port, &target, &authorization) {
            Ok(status) => status,
            Err(error) => {
                kept = None;
                format!("no answer: {error}")
            }
        };
        *shared.ends.lock().unwrap().entry(end).or_default() += 1;
    }
}

/// One request on the connection that is kept, or on a new one: the answer's status.
fn ask(
    kept: &mut Option<BufReader<TcpStream>>,
    port: u16,
    target: &str,
    authorization: &str,
) -> std::io::Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            BufReader::new(stream)
        }
    };
    let head =
        format!("GET {target} HTTP/1.1\r\nhost: test\r\nauthorization: {authorization}\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).map(str::to_owned);
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let (mut length, mut closes) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "connection" => closes = value.trim() == "close",
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if !closes {
        *kept = Some(stream);
    }
    Ok(status)
}

//! A publisher of one document, such as a JWK set, that remembers what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running publisher; it lives as long as the test process.
#[derive(Debug)]
pub struct Origin {
    /// Its port.
    pub port: u16,
    shared: Arc<Mutex<Published>>,
}

/// One request for the document.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it came.
    pub at: Instant,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Debug)]
struct Published {
    body: String,
    etag: Option<String>,
    status: u16,
    delay: Duration,
    asked: Vec<Asked>,
}

impl Origin {
    /// Starts one that has no document yet and answers 503.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Published {
            body: String::new(),
            etag: None,
            status: 503,
            delay: Duration::ZERO,
            asked: Vec::new(),
        }));
        let publisher = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let publisher = Arc::clone(&publisher);
                std::thread::spawn(move || serve(stream, &publisher));
            }
        });
        Self { port, shared }
    }

    /// Answers 200 with this document from now on; with an entity tag, 304 to whoever has it. It
    /// may be kept for a second.
    ///
    /// # Panics
    /// When a thread of it did.
    pub fn publish(&self, body: &str, etag: Option<&str>) {
        let mut shared = self.shared.lock().unwrap();
        shared.body = body.to_owned();
        shared.etag = etag.map(str::to_owned);
        shared.status = 200;
    }

    /// Answers `status` without a document from now on.
    ///
    /// # Panics
    /// When a thread of it did.
    pub fn fail(&self, status: u16) {
        self.shared.lock().unwrap().status = status;
    }

    /// Waits before each answer from now on.
    ///
    /// # Panics
    /// When a thread of it did.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().unwrap().delay = delay;
    }

    /// What it was asked, in order; a request is here before it is answered.
    ///
    /// # Panics
    /// When a thread of it did.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// Waits until it was asked `count` times.
    ///
    /// # Panics
    /// When it was not in time.
    pub fn wait_for(&self, count: usize, within: Duration) -> Vec<Asked> {
        let end = Instant::now() + within;
        loop {
            let asked = self.asked();
            if asked.len() >= count {
                return asked;
            }
            assert!(
                Instant::now() < end,
                "asked {} times: {asked:?}",
                asked.len()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Published>) -> Option<()> {
    let mut if_none_match = None;
    for line in BufReader::new(stream.try_clone().ok()?).lines() {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("if-none-match") {
            if_none_match = Some(value.trim().to_owned());
        }
    }
    let (answer, delay) = {
        let mut shared = shared.lock().ok()?;
        let known = shared.etag.is_some() && shared.etag == if_none_match;
        let status = match shared.status {
            200 if known => 304,
            status => status,
        };
        shared.asked.push(Asked {
            at: Instant::now(),
            if_none_match,
            status,
        });
        (answer(&shared, status), shared.delay)
    };
    std::thread::sleep(delay);
    stream.write_all(answer.as_bytes()).ok()
}

fn answer(published: &Published, status: u16) -> String {
    let body = if status == 200 { &*published.body } else { "" };
    let etag = match &published.etag {
        Some(etag) if status != 503 => format!("etag: {etag}\r\n"),
        _ => String::new(),
    };
    format!(
        "HTTP/1.1 {status} -\r\n{etag}cache-control: max-age=1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

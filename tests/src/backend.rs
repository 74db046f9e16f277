//! A service behind Envoy that answers with the request it received, and publishes documents.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

/// A running backend; it lives as long as the test process.
#[derive(Debug)]
pub struct Backend {
    /// Its port.
    pub port: u16,
    documents: Arc<Mutex<HashMap<String, Value>>>,
    held: Arc<AtomicUsize>,
}

impl Backend {
    /// Starts a backend on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let documents = Arc::new(Mutex::new(HashMap::<String, Value>::new()));
        let shared = Arc::clone(&documents);
        let held = Arc::new(AtomicUsize::new(0));
        let holding = Arc::clone(&held);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().flatten() {
                let hold = |count: usize| count.checked_sub(1);
                if holding
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, hold)
                    .is_ok()
                {
                    kept.push(stream);
                    continue;
                }
                let documents = shared.lock().unwrap().clone();
                std::thread::spawn(move || serve(stream, &documents));
            }
        });
        Self {
            port,
            documents,
            held,
        }
    }

    /// Accepts the next connections and never answers them.
    pub fn hold(&self, connections: usize) {
        self.held.store(connections, Ordering::SeqCst);
    }

    /// What `path` answers from now on. Documents are below `/jwks` and `/.well-known`; there 503
    /// is the answer of a path without one, elsewhere the request.
    pub fn publish(&self, path: &str, document: Option<Value>) {
        let mut documents = self.documents.lock().unwrap();
        match document {
            Some(document) => documents.insert(path.to_owned(), document),
            None => documents.remove(path),
        };
    }
}

fn serve(mut stream: TcpStream, documents: &HashMap<String, Value>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Map::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let values = headers
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| json!([]));
        values.as_array_mut()?.push(value.trim().into());
    }
    let (status, body) = match documents.get(target) {
        Some(document) => ("200 OK", document.clone()),
        None if target.starts_with("/jwks") || target.starts_with("/.well-known/") => {
            ("503 Service Unavailable", json!({}))
        }
        None => (
            "200 OK",
            json!({"method": method, "target": target, "headers": headers}),
        ),
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()
}

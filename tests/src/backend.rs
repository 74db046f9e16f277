//! A service behind Envoy that answers with the request it received, and publishes a JWK set.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

/// A running backend; it lives as long as the test process.
#[derive(Debug)]
pub struct Backend {
    /// Its port.
    pub port: u16,
    jwks: Arc<Mutex<Option<Value>>>,
}

impl Backend {
    /// Starts a backend on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let jwks = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&jwks);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let jwks = shared.lock().unwrap().clone();
                std::thread::spawn(move || serve(stream, jwks.as_ref()));
            }
        });
        Self { port, jwks }
    }

    /// What GET /jwks answers; 503 without.
    pub fn publish(&self, jwks: Option<Value>) {
        *self.jwks.lock().unwrap() = jwks;
    }
}

fn serve(mut stream: TcpStream, jwks: Option<&Value>) -> Option<()> {
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
    let (status, body) = match (target, jwks) {
        ("/jwks", Some(jwks)) => ("200 OK", jwks.clone()),
        ("/jwks", None) => ("503 Service Unavailable", json!({})),
        _ => (
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

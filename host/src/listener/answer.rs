use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tower_service::Service as _;

use super::accept::Serving;
use super::arriving::Arriving;
use super::{ClientCertificate, Peer, client_address};
use crate::clock::unix_now;

/// What the requests of one connection share.
pub(super) struct Caller {
    pub(super) serving: Arc<Serving>,
    pub(super) socket: Option<IpAddr>,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) requests: Requests,
}

/// Counts the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests {
    begun: AtomicU64,
    running: AtomicUsize,
}

/// A request that has no answer yet.
struct Running<'r>(&'r Requests);

/// Answers one request within the time it may take.
pub(super) async fn answer(
    caller: Arc<Caller>,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let _running = caller.requests.begin();
    let limits = &caller.serving.limits;
    // HTTP/1.1 does not come here with more, HTTP/2 does.
    if request.headers().len() > limits.max_headers {
        return Ok(refusal(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "invalid_request",
            "the request has too many header fields",
        ));
    }
    let peer = caller.peer(request.headers());
    request.extensions_mut().insert(peer);
    let version = request.version();
    let whole = (!request.body().is_end_stream()).then(|| Arc::new(AtomicBool::new(false)));
    let request = match &whole {
        None => request.map(Body::new),
        Some(whole) => {
            let whole = Arc::clone(whole);
            request.map(|body| Body::new(Arriving::new(body, whole)))
        }
    };
    let mut router = caller.serving.router.clone();
    let mut answering = pin!(router.call(request));
    // What is answered from memory is there at once: only other requests get a timer.
    let first = poll_fn(|context| Poll::Ready(answering.as_mut().poll(context))).await;
    if let Poll::Ready(answered) = first {
        return answered;
    }
    match tokio::time::timeout(limits.request_timeout, answering).await {
        Ok(answered) => answered,
        Err(_) => {
            let arrived = whole.is_none_or(|whole| whole.load(Ordering::Relaxed));
            Ok(timed_out(arrived, version))
        }
    }
}

impl Caller {
    fn peer(&self, headers: &HeaderMap) -> Peer {
        let trusted = &self.serving.trusted_proxies;
        let certificate = match &self.certificate {
            // Connections can last longer than certificates.
            Some(certificate) if certificate.not_after >= unix_now() => {
                Some(Arc::clone(certificate))
            }
            _ => None,
        };
        Peer {
            address: self
                .socket
                .map(|socket| client_address(socket, headers, trusted)),
            socket: self.socket,
            certificate,
        }
    }
}

impl Requests {
    /// How many there were, the running ones included.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many have no answer yet.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Running<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// 503 when the service has the whole request, 408 when the caller has not sent it.
fn timed_out(arrived: bool, version: Version) -> Response {
    if arrived {
        let mut response = refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "request_timeout",
            "the request took too long",
        );
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    }
    let mut response = refusal(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "the request did not arrive in time",
    );
    // RFC 9110 section 15.5.9. HTTP/2 has no such header.
    if version < Version::HTTP_2 {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// An answer of the form of the endpoints' own (RFC 6749 section 5.2).
fn refusal(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

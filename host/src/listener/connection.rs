use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::ClientCertificate;
use super::accept::Serving;
use super::answer::{Caller, Requests, answer};

/// How long a connection may stay without a request. HTTP/1.1 has the time for a header before
/// that; this ends connections of HTTP/2, and those that do not take their answers.
const IDLE: Duration = Duration::from_secs(60);

/// Serves one connection to its end, or until `ending` is closed and its requests are done.
pub(super) async fn serve<S>(
    serving: Arc<Serving>,
    stream: S,
    socket: Option<IpAddr>,
    mut ending: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut caller = Caller {
        serving: Arc::clone(&serving),
        socket,
        certificate: None,
        requests: Requests::default(),
    };
    let Some(keeper) = &serving.tls else {
        return serve_http(caller, stream, ending).await;
    };
    let handshake = TlsAcceptor::from(keeper.current()).accept(stream);
    let done = tokio::select! {
        done = timeout(serving.limits.header_timeout, handshake) => done,
        _ = ending.changed() => return,
    };
    match done {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            caller.certificate = session
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| Arc::new(ClientCertificate::from_der(certificate)));
            serve_http(caller, stream, ending).await;
        }
        Ok(Err(error)) => tracing::debug!(?socket, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(?socket, "TLS handshake took too long"),
    }
}

async fn serve_http<S>(caller: Caller, stream: S, mut ending: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let caller = Arc::new(caller);
    let own = Arc::clone(&caller);
    let service = service_fn(move |request: Request<Incoming>| answer(Arc::clone(&own), request));
    let http = &caller.serving.http;
    let mut connection = pin!(
        http.serve_connection(TokioIo::new(stream), service)
            .into_owned()
    );
    let header_timeout = caller.serving.limits.header_timeout;
    let mut look = pin!(sleep(header_timeout));
    let (mut seen, mut is_ending) = (0, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(socket = ?caller.socket, %error, "connection ended");
                }
                return;
            }
            _ = ending.changed(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let begun = caller.requests.begun();
                if begun == seen && caller.requests.running() == 0 {
                    if is_ending {
                        return;
                    }
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                seen = begun;
                let pause = if is_ending { header_timeout } else { IDLE };
                look.as_mut().reset(Instant::now() + pause);
            }
        }
    }
}

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
/// Connections that are older end with the requests that they have then.
const LONGEST: Duration = Duration::from_secs(3600);

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
        return serve_http(caller, stream, ending, None).await;
    };
    let client_ca_changes = keeper.client_ca_changes();
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
            // Who showed no certificate has none that could be withdrawn.
            let withdrawn = caller.certificate.is_some().then_some(client_ca_changes);
            serve_http(caller, stream, ending, withdrawn).await;
        }
        Ok(Err(error)) => tracing::debug!(?socket, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(?socket, "TLS handshake took too long"),
    }
}

async fn serve_http<S>(
    caller: Caller,
    stream: S,
    mut ending: watch::Receiver<()>,
    mut withdrawn: Option<watch::Receiver<()>>,
) where
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
    // No request that has begun by then takes longer.
    let grace = header_timeout.saturating_add(caller.serving.limits.request_timeout);
    let began = Instant::now();
    let mut look = pin!(sleep(header_timeout));
    let mut seen = 0;
    let mut ends: Option<Instant> = None;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(socket = ?caller.socket, %error, "connection ended");
                }
                return;
            }
            _ = ending.changed(), if ends.is_none() => {
                ends = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            () = changed(&mut withdrawn), if ends.is_none() => {
                ends = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let begun = caller.requests.begun();
                let is_idle = begun == seen && caller.requests.running() == 0;
                match ends {
                    // A caller that does not take note of the end could go on without one.
                    Some(ends) if is_idle || ends.elapsed() >= grace => return,
                    None if is_idle || is_old(began.elapsed()) => {
                        ends = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                    _ => {}
                }
                seen = begun;
                let pause = if ends.is_some() { header_timeout } else { IDLE };
                look.as_mut().reset(Instant::now() + pause);
            }
        }
    }
}

/// Ends when what is waited for changes; never where there is nothing.
async fn changed(waited_for: &mut Option<watch::Receiver<()>>) {
    if let Some(changes) = waited_for
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn is_old(age: Duration) -> bool {
    age >= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_grow_old_in_an_hour() {
        for (seconds, expected) in [(0, false), (3599, false), (3600, true), (86_400, true)] {
            assert_eq!(is_old(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_change_is_waited_for_where_there_can_be_one() {
        let soon = Duration::from_millis(50);
        let sender = watch::Sender::new(());
        let mut changes = Some(sender.subscribe());
        assert!(timeout(soon, changed(&mut changes)).await.is_err());
        sender.send_replace(());
        assert!(timeout(soon, changed(&mut changes)).await.is_ok());
        drop(sender);
        assert!(timeout(soon, changed(&mut changes)).await.is_err());
        assert!(timeout(soon, changed(&mut None)).await.is_err());
    }
}

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::client_address::is_trusted;
use super::limits::MAX_HEADERS;
use super::places::Places;
use super::{Limits, TlsKeeper, connection};

/// How long to wait where the system has no room for a connection.
const PAUSE: Duration = Duration::from_millis(500);
/// That all connections are taken, or all of one address, is not said more often.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// Requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 128;
/// What one request, and one connection, of HTTP/2 may have on the way; no endpoint takes more.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What accepts.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What the connections of one listener share.
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) http: auto::Builder<TokioExecutor>,
    pub(super) tls: Option<Arc<TlsKeeper>>,
    pub(super) limits: Limits,
    pub(super) trusted_proxies: Vec<IpNet>,
    places: Arc<Places>,
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Accepts and serves until `shutdown`, then lets what is running end.
pub(super) async fn run(socket: Socket, serving: Arc<Serving>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let (running, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut said: Option<Instant> = None;
    let mut said_of_one: Option<Instant> = None;
    loop {
        let has_room = connections.len() < serving.limits.max_connections;
        if !has_room && said.is_none_or(|said| said.elapsed() > SAID_AGAIN) {
            said = Some(Instant::now());
            tracing::warn!(
                max_connections = serving.limits.max_connections,
                "all connections are taken, further ones wait"
            );
        }
        tokio::select! {
            () = shutdown.as_mut() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => note(ended),
            accepted = socket.accept(), if has_room => match accepted {
                Ok(accepted) => {
                    let refused = spawn(&mut connections, &serving, accepted, ending.clone());
                    if let Some(source) = refused
                        && said_of_one.is_none_or(|said| said.elapsed() > SAID_AGAIN)
                    {
                        said_of_one = Some(Instant::now());
                        tracing::warn!(
                            %source,
                            max_connections = serving.limits.per_source(),
                            "all connections of one address are taken, further ones are closed"
                        );
                    }
                }
                // The caller has gone already.
                Err(error) if is_the_connections(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, trying again");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop((socket, running));
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    let in_time = timeout(serving.limits.shutdown_timeout, ended).await;
    if in_time.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "connections did not end in time and are dropped"
        );
        connections.shutdown().await;
    }
}

impl Serving {
    pub(super) fn new(
        router: Router,
        tls: Option<Arc<TlsKeeper>>,
        limits: Limits,
        trusted_proxies: Vec<IpNet>,
    ) -> Self {
        let limits = limits.within_reason();
        Self {
            // Prepares the routes once, not for each request.
            router: router.with_state(()),
            http: http(&limits),
            tls,
            places: Arc::new(Places::new(limits.per_source())),
            limits,
            trusted_proxies,
        }
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, from))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream))
            }
        }
    }
}

/// Serves a connection in a task of its own; returns its source instead where that has no place
/// left, and closes it.
fn spawn(
    connections: &mut JoinSet<()>,
    serving: &Arc<Serving>,
    accepted: Accepted,
    ending: watch::Receiver<()>,
) -> Option<IpAddr> {
    let serving = Arc::clone(serving);
    match accepted {
        Accepted::Tcp(stream, from) => {
            // Fails where the caller has gone, which the connection will find out.
            drop(stream.set_nodelay(true));
            let socket: IpAddr = from.ip().to_canonical();
            // All callers behind a proxy have its address.
            let place = if is_trusted(&socket, &serving.trusted_proxies) {
                None
            } else {
                let Some(place) = serving.places.take(socket) else {
                    return Some(socket);
                };
                Some(place)
            };
            connections.spawn(async move {
                connection::serve(serving, stream, Some(socket), ending).await;
                drop(place);
            });
        }
        Accepted::Unix(stream) => {
            connections.spawn(connection::serve(serving, stream, None, ending));
        }
    }
    None
}

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header_bytes);
    // Any number that is set costs an allocation for each request, its own default does not.
    if limits.max_headers != MAX_HEADERS {
        builder.http1().max_headers(limits.max_headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Whether one connection failed, and not the accepting of connections.
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "serving a connection ended");
    }
}

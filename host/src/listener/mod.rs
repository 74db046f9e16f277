//! What is between a socket and the router: addresses, TLS, limits, callers, and the end of it.
//!
//! Connections speak HTTP/1.1 or HTTP/2, which their first bytes tell. Each request that reaches
//! the router has a [`Peer`] among its extensions.

mod accept;
mod address;
mod answer;
mod arriving;
mod certificate;
mod client_address;
mod connection;
mod error;
mod limits;
mod places;
mod tls_files;
mod tls_keeper;
mod unix_socket;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use ipnet::IpNet;
use tokio::net::TcpListener;

use accept::{Serving, Socket};
use unix_socket::SocketFile;

pub use address::{ListenAddress, parse_network};
pub use certificate::ClientCertificate;
pub use client_address::client_address;
pub use error::{ListenError, TlsError};
pub use limits::Limits;
pub(crate) use places::network;
pub use tls_files::{TlsFiles, check_tls};
pub use tls_keeper::TlsKeeper;

/// Who sent a request: an extension of each one.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The caller, as [`client_address`] finds it; none at a Unix socket.
    pub address: Option<IpAddr>,
    /// The other end of the connection, a proxy's if there is one before the service; none at a
    /// Unix socket.
    pub socket: Option<IpAddr>,
    /// The certificate that was verified in the handshake and has not ended since.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A socket that is listened on. A Unix socket's file goes when this does.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: ListenAddress,
    file: Option<SocketFile>,
}

/// Listens on `address`; nothing is accepted before [`Bound::serve`].
///
/// A Unix socket has mode 0600 from its first moment, and takes the place of one that nothing
/// listens on any more.
///
/// # Errors
/// [`ListenError`]: the address is in use or not this machine's, the path of a Unix socket is
/// another kind of file, or others may write to its folder.
pub async fn bind(address: &ListenAddress) -> Result<Bound, ListenError> {
    let failed = |error| ListenError::Failed {
        address: address.to_string(),
        error,
    };
    match address {
        ListenAddress::Tcp(wanted) => {
            let listener = TcpListener::bind(wanted).await.map_err(failed)?;
            let address = ListenAddress::Tcp(listener.local_addr().map_err(failed)?);
            Ok(Bound {
                socket: Socket::Tcp(listener),
                address,
                file: None,
            })
        }
        ListenAddress::Unix(path) => {
            let (listener, file) = unix_socket::bind(path).await?;
            Ok(Bound {
                socket: Socket::Unix(listener),
                address: address.clone(),
                file: Some(file),
            })
        }
    }
}

impl Bound {
    /// The address, with the port that the system chose if it was to choose one.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Serves `router` until `shutdown`, with TLS if `tls` is given. Then nothing more is
    /// accepted, requests in flight have `limits.shutdown_timeout` to end, and what is left is
    /// dropped.
    ///
    /// Who the caller behind one of `trusted_proxies` is, [`client_address`] says.
    pub async fn serve(
        self,
        router: Router,
        tls: Option<Arc<TlsKeeper>>,
        limits: Limits,
        trusted_proxies: Vec<IpNet>,
        shutdown: impl Future<Output = ()>,
    ) {
        let serving = Serving::new(router, tls, limits, trusted_proxies);
        accept::run(self.socket, Arc::new(serving), shutdown).await;
        drop(self.file);
    }
}

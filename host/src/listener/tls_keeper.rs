use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::tls_files::{TlsServer, TlsTexts};
use super::{TlsError, TlsFiles};
use crate::clock::unix_now;
use crate::hangup::Hangups;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Certificate, key and client authorities that follow their files. New handshakes are made with
/// what is in use then; connections go on with what they began with, but for those whose client
/// showed a certificate: they end when the client authorities change.
///
/// Files that do not fit together change nothing: what was in use stays in use, and the failure
/// is logged once.
#[derive(Debug)]
pub struct TlsKeeper {
    files: TlsFiles,
    current: ArcSwap<TlsServer>,
    status: Mutex<Status>,
    /// Told when other client authorities are in use.
    client_ca: watch::Sender<()>,
}

#[derive(Debug)]
struct Status {
    /// Of the texts in use.
    loaded: [u8; 32],
    /// Of the client authorities in use.
    client_ca: Option<[u8; 32]>,
    /// Logged once, not every ten seconds.
    last_failure: Option<String>,
}

impl TlsKeeper {
    /// Loads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`]: there is nothing that could stay in use.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let texts = files.read()?;
        let server = files.server(&texts)?;
        warn_of_end(&files, &server);
        Ok(Self {
            current: ArcSwap::from_pointee(server),
            status: Mutex::new(Status {
                loaded: texts.fingerprint(),
                client_ca: texts.client_ca_fingerprint(),
                last_failure: None,
            }),
            client_ca: watch::Sender::new(()),
            files,
        })
    }

    /// What the next handshake is made with.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// Tells when the client authorities have changed. To be taken before [`TlsKeeper::current`],
    /// so that no change is missed.
    pub(super) fn client_ca_changes(&self) -> watch::Receiver<()> {
        self.client_ca.subscribe()
    }

    /// The last moment of the server certificate's validity, Unix time in seconds.
    pub fn not_after(&self) -> i64 {
        self.current.load().not_after
    }

    /// Reads the files and takes into use what is new in them; says whether anything was. Blocks
    /// while it does.
    ///
    /// # Errors
    /// [`TlsError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        // Held to the end, so that an earlier load never takes the place of a later one.
        let mut status = self.status();
        let changed = self
            .files
            .read()
            .and_then(|texts| self.changed_server(&texts, &status));
        match changed {
            Ok(None) => {
                status.last_failure = None;
                Ok(false)
            }
            Ok(Some((server, next))) => {
                let other_ca = next.client_ca != status.client_ca;
                *status = next;
                tracing::info!(
                    certificate = %self.files.cert.display(),
                    not_after = server.not_after,
                    "TLS certificate loaded"
                );
                warn_of_end(&self.files, &server);
                self.current.store(Arc::new(server));
                if other_ca {
                    tracing::info!(
                        "the authorities of services' certificates changed, connections with such \
                         a certificate are ended"
                    );
                    self.client_ca.send_replace(());
                }
                Ok(true)
            }
            Err(error) => {
                let message = Some(error.to_string());
                if status.last_failure != message {
                    tracing::error!(
                        code = error.code(),
                        %error,
                        "TLS files not loaded, the former ones stay in use"
                    );
                }
                status.last_failure = message;
                Err(error)
            }
        }
    }

    /// Starts a task that looks at the files every ten seconds and at each SIGHUP. It ends when
    /// it is aborted.
    ///
    /// From here on SIGHUP no longer ends the process.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with timers and signals.
    pub fn watch(self: Arc<Self>) -> JoinHandle<()> {
        tokio::spawn(watching(self, Hangups::listen()))
    }

    fn changed_server(
        &self,
        texts: &TlsTexts,
        status: &Status,
    ) -> Result<Option<(TlsServer, Status)>, TlsError> {
        let fingerprint = texts.fingerprint();
        if fingerprint == status.loaded {
            return Ok(None);
        }
        let server = self.files.server(texts)?;
        let next = Status {
            loaded: fingerprint,
            client_ca: texts.client_ca_fingerprint(),
            last_failure: None,
        };
        Ok(Some((server, next)))
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients will say no, which is theirs to say: the next files may be minutes away.
fn warn_of_end(files: &TlsFiles, server: &TlsServer) {
    if server.not_after < unix_now() {
        tracing::warn!(
            certificate = %files.cert.display(),
            not_after = server.not_after,
            "the TLS certificate has ended"
        );
    }
}

async fn watching(keeper: Arc<TlsKeeper>, mut hangups: Hangups) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = hangups.next() => {}
        }
        let keeper = Arc::clone(&keeper);
        // It blocks. What it returns is logged already.
        let done = tokio::task::spawn_blocking(move || drop(keeper.reload()));
        if let Err(error) = done.await {
            tracing::error!(%error, "reading the TLS files ended, the former ones stay in use");
        }
    }
}

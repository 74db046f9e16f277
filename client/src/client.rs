use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::session::Session;
use crate::{AccessToken, ClientError, Settings, Status};

/// The clock is looked at this often: a machine that slept has tokens that have ended.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A service's token, kept fresh by a task. Clones share it; the task ends with the last of them.
#[derive(Clone)]
pub struct ServiceClient {
    shared: Arc<Shared>,
    running: Arc<Running>,
}

struct Shared {
    settings: Settings,
    session: tokio::sync::Mutex<Session>,
    token: watch::Sender<Option<AccessToken>>,
    status: Mutex<Status>,
    closed: AtomicBool,
}

struct Running {
    /// Dropped, it stops the task too.
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl ServiceClient {
    /// Gets the first token, then keeps it fresh. What may pass is tried again,
    /// [`crate::Schedule::start_attempts`] times in all.
    ///
    /// # Errors
    /// [`ClientError`] of the last attempt.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with timers.
    pub async fn start(settings: Settings) -> Result<Self, ClientError> {
        settings.check()?;
        let session = Session::open(&settings).await?;
        let shared = Arc::new(Shared {
            settings,
            session: tokio::sync::Mutex::new(session),
            token: watch::Sender::new(None),
            status: Mutex::new(Status::default()),
            closed: AtomicBool::new(false),
        });
        let schedule = shared.settings.schedule;
        let mut failures = 0;
        while let Err(error) = shared.renew(0).await {
            failures += 1;
            if !error.is_temporary() || failures >= schedule.start_attempts {
                return Err(error);
            }
            let random = shared.settings.environment.random();
            tokio::time::sleep(schedule.wait_after(failures, error.retry_after(), random)).await;
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keeping_fresh(Arc::clone(&shared), stopped));
        Ok(Self {
            shared,
            running: Arc::new(Running {
                stop,
                task: Mutex::new(Some(task)),
            }),
        })
    }

    /// The token in use.
    ///
    /// # Errors
    /// [`ClientError::NoToken`] when the last one has ended, [`ClientError::Closed`].
    pub fn token(&self) -> Result<AccessToken, ClientError> {
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(ClientError::Closed);
        }
        let now = self.shared.settings.environment.unix_now();
        let token = self.shared.token.borrow().clone();
        token.filter(|token| now < token.expires()).ok_or_else(|| {
            let last = self.shared.status().last_error.clone();
            ClientError::NoToken(last.map_or_else(
                || "the last one has ended".to_owned(),
                |error| error.to_string(),
            ))
        })
    }

    /// The value of the `Authorization` header, for any HTTP client.
    ///
    /// # Errors
    /// As [`ServiceClient::token`].
    pub fn authorization(&self) -> Result<HeaderValue, ClientError> {
        Ok(self.token()?.authorization().clone())
    }

    /// Puts the token on a request.
    ///
    /// # Errors
    /// As [`ServiceClient::token`].
    pub fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        Ok(request.header(AUTHORIZATION, self.authorization()?))
    }

    /// Puts the token on the requests of a tonic client:
    /// `NodesClient::with_interceptor(channel, client.interceptor())`.
    #[cfg(feature = "tonic")]
    pub fn interceptor(&self) -> crate::TokenInterceptor {
        crate::TokenInterceptor::new(self.clone())
    }

    /// An HTTP client that shows the certificate in use, which a token that is bound to it needs
    /// (RFC 8705 section 3). It is another one after the certificate was renewed.
    pub async fn http(&self) -> reqwest::Client {
        self.shared.session.lock().await.http()
    }

    /// The token in use and each that follows; `None` when there is none any more.
    pub fn subscribe(&self) -> watch::Receiver<Option<AccessToken>> {
        self.shared.token.subscribe()
    }

    /// Gets a new token now. Callers at the same time share one exchange.
    ///
    /// # Errors
    /// [`ClientError`]; the token in use stays.
    pub async fn renew(&self) -> Result<(), ClientError> {
        let seen = self.shared.status().renewals;
        self.shared.renew(seen).await
    }

    /// How renewing goes.
    pub fn status(&self) -> Status {
        self.shared.status().clone()
    }

    /// Ends the task, waits for an exchange that is under way, so that its refresh token is kept,
    /// and erases the tokens.
    pub async fn shutdown(&self) {
        self.running.stop.send_replace(true);
        let task = self
            .running
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // It ends by itself; that it panicked changes nothing here.
            drop(task.await);
        }
        // Whoever renews holds this.
        let session = self.shared.session.lock().await;
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.token.send_replace(None);
        drop(session);
    }
}

impl Shared {
    /// Makes an exchange, unless one was made since `seen` renewals. It is made to its end
    /// whatever becomes of the caller: a refresh token that is answered to nobody is lost.
    async fn renew(self: &Arc<Self>, seen: u64) -> Result<(), ClientError> {
        let own = Arc::clone(self);
        let exchange = tokio::spawn(async move { own.exchange(seen).await });
        exchange.await.unwrap_or(Err(ClientError::Closed))
    }

    async fn exchange(&self, seen: u64) -> Result<(), ClientError> {
        let mut session = self.session.lock().await;
        if self.closed.load(Ordering::Relaxed) {
            return Err(ClientError::Closed);
        }
        if self.status().renewals != seen {
            return Ok(());
        }
        let environment = &self.settings.environment;
        let now = environment.unix_now();
        self.status().last_attempt = Some(UNIX_EPOCH + now);
        let exchanged = session.exchange(&self.settings, now).await;
        let refresh_expires = session
            .refresh_expires()
            .filter(|expires| *expires != Duration::MAX)
            .and_then(|expires| UNIX_EPOCH.checked_add(expires));
        {
            let mut status = self.status();
            status.refresh_expires_at = refresh_expires;
            match &exchanged {
                Ok(token) => {
                    status.renewals += 1;
                    status.last_error = None;
                    status.last_success = Some((environment.now)());
                    status.expires_at = Some(token.expires_at());
                    status.ended = false;
                }
                Err(error) => {
                    status.failures += 1;
                    status.last_error = Some(error.clone());
                    status.ended = error.is_final();
                }
            }
        }
        self.token.send_replace(Some(exchanged?));
        Ok(())
    }

    /// How long the token in use is good from now on.
    fn left(&self) -> Option<Duration> {
        let now = self.settings.environment.unix_now();
        let token = self.token.borrow();
        let expires = token.as_ref()?.expires();
        expires.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Tells that the last token has ended.
    fn withdraw(&self) {
        self.token.send_if_modified(|token| token.take().is_some());
    }

    /// When the token in use is to be renewed, since 1970.
    fn due(&self) -> Duration {
        let random = self.settings.environment.random();
        let token = self.token.borrow();
        token.as_ref().map_or(Duration::ZERO, |token| {
            let lifetime = token.expires().saturating_sub(token.issued());
            let wait = self.settings.schedule.renew_after(lifetime, random);
            token.issued().saturating_add(wait)
        })
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServiceClient")
            .field("url", &self.shared.settings.url)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Renews the token before it ends, until it is stopped or only a new credential would help.
async fn keeping_fresh(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let environment = shared.settings.environment.clone();
    let schedule = shared.settings.schedule;
    let mut failures = 0;
    // Of the token that was looked at last, since 1970.
    let (mut renewals, mut due) = (0, Duration::ZERO);
    loop {
        let seen = shared.status().renewals;
        if seen != renewals {
            (renewals, failures) = (seen, 0);
            due = shared.due();
        }
        let now = environment.unix_now();
        let mut wait = due.saturating_sub(now);
        match shared.left() {
            Some(left) => wait = wait.min(left),
            None => shared.withdraw(),
        }
        if !wait.is_zero() {
            let stopped = tokio::select! {
                // Also when the last client is dropped.
                _ = stop.changed() => true,
                () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => false,
            };
            if stopped {
                return;
            }
            continue;
        }
        if let Err(error) = shared.renew(seen).await {
            failures += 1;
            let random = environment.random();
            let wait = if error.is_final() {
                Duration::MAX
            } else {
                schedule.wait_after(failures, error.retry_after(), random)
            };
            due = environment.unix_now().saturating_add(wait);
            tracing::warn!(
                code = error.code(),
                %error,
                failures,
                ended = error.is_final(),
                "the token was not renewed"
            );
        }
        if *stop.borrow() {
            return;
        }
    }
}

use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Granted, RefreshToken};
use crate::connection::Connection;
use crate::refresh_file::RefreshFile;
use crate::{AccessToken, ClientError, Credential, Settings};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BOOTSTRAP_TOKEN: &str = "urn:openchami:params:oauth:token-type:bootstrap-token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the next exchange is made with. One exchange at a time.
pub(crate) struct Session {
    connection: Connection,
    refresh: Option<RefreshToken>,
    /// A bootstrap token is good once.
    bootstrap_spent: bool,
    file: Option<Arc<RefreshFile>>,
}

impl Session {
    /// Reads what an earlier process left. Nothing is exchanged yet.
    ///
    /// # Errors
    /// [`ClientError`] of files.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, ClientError> {
        let connection = Connection::open(settings).await?;
        let (file, refresh) = match settings.refresh_file.clone() {
            None => (None, None),
            Some(path) => {
                let url = settings.url.clone();
                let (file, refresh) = blocking(move || RefreshFile::open(&path, &url)).await?;
                (Some(Arc::new(file)), refresh)
            }
        };
        if matches!(settings.credential, Credential::Stored) && refresh.is_none() {
            return Err(ClientError::Setting {
                setting: "refresh_file",
                message: "holds no refresh token: start once with a bootstrap token".to_owned(),
            });
        }
        Ok(Self {
            connection,
            refresh,
            bootstrap_spent: false,
            file,
        })
    }

    /// The client that shows the certificate in use.
    pub(crate) fn http(&self) -> reqwest::Client {
        self.connection.http()
    }

    /// When the refresh token ends, since 1970, if there is one.
    pub(crate) fn refresh_expires(&self) -> Option<Duration> {
        self.refresh.as_ref().map(|token| token.expires)
    }

    /// Gets a new access token at `now`, since 1970: by the refresh token, else by the credential.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::is_final`] where only another credential helps.
    pub(crate) async fn exchange(
        &mut self,
        settings: &Settings,
        now: Duration,
    ) -> Result<AccessToken, ClientError> {
        if self.connection.follow(settings).await? {
            tracing::info!("a new client certificate is in use");
            // What is bound to the former one is of no use with this one.
            self.refresh = None;
        }
        let lost = match self.renew(settings, now).await? {
            Renewed::Token(access) => return Ok(access),
            Renewed::Nothing(lost) => lost,
        };
        let granted = match &settings.credential {
            Credential::BootstrapToken(token) => {
                if self.bootstrap_spent {
                    return Err(lost.unwrap_or(ClientError::BootstrapRefused));
                }
                let form = [
                    ("grant_type", TOKEN_EXCHANGE),
                    ("subject_token_type", BOOTSTRAP_TOKEN),
                    ("subject_token", token.expose()),
                ];
                let granted = self.post(settings, "/oauth/token", &form, now).await;
                let refused = granted.as_ref().is_err_and(ClientError::is_invalid_grant);
                self.bootstrap_spent = granted.is_ok() || refused;
                if refused {
                    return Err(lost.unwrap_or(ClientError::BootstrapRefused));
                }
                granted?
            }
            Credential::Certificate(_) => {
                self.post(settings, "/service-identity/session", &[], now)
                    .await?
            }
            Credential::ClientCertificate { client_id, .. } => {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                ];
                self.post(settings, "/oauth/token", &form, now).await?
            }
            Credential::ClientAssertion { client_id, signer } => {
                let assertion = signer.sign()?;
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                    ("client_assertion_type", JWT_BEARER),
                    ("client_assertion", assertion.expose()),
                ];
                self.post(settings, "/oauth/token", &form, now).await?
            }
            Credential::Stored => return Err(lost.unwrap_or(ClientError::RefreshRefused)),
        };
        Ok(self.keep(granted).await)
    }

    async fn renew(&mut self, settings: &Settings, now: Duration) -> Result<Renewed, ClientError> {
        let Some(refresh) = self.refresh.clone() else {
            return Ok(Renewed::Nothing(None));
        };
        if refresh.expires <= now {
            self.forget().await;
            return Ok(Renewed::Nothing(Some(ClientError::RefreshExpired)));
        }
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.text.expose()),
        ];
        match self.post(settings, "/oauth/token", &form, now).await {
            Ok(granted) => Ok(Renewed::Token(self.keep(granted).await)),
            Err(error) if error.is_invalid_grant() => {
                self.forget().await;
                Ok(Renewed::Nothing(Some(ClientError::RefreshRefused)))
            }
            Err(error) => Err(error),
        }
    }

    async fn post(
        &self,
        settings: &Settings,
        path: &str,
        form: &[(&str, &str)],
        now: Duration,
    ) -> Result<Granted, ClientError> {
        let url = format!("{}{path}", settings.url);
        let scopes = settings.scopes.join(" ");
        let mut all = form.to_vec();
        // A session has all that is configured for the certificate.
        if !form.is_empty() {
            if !scopes.is_empty() {
                all.push(("scope", &scopes));
            }
            all.extend(
                settings
                    .audience
                    .iter()
                    .map(|own| ("audience", own.as_str())),
            );
        }
        self.connection.post(&url, &all, now).await
    }

    /// The next refresh token takes the place of the one before, which is used up.
    async fn keep(&mut self, granted: Granted) -> AccessToken {
        let Granted { access, refresh } = granted;
        if let (Some(file), Some(token)) = (&self.file, refresh.clone()) {
            let file = Arc::clone(file);
            if let Err(error) = blocking(move || file.keep(&token)).await {
                tracing::error!(
                    code = error.code(),
                    %error,
                    "the refresh token cannot be kept, after a restart a new bootstrap token is needed"
                );
            }
        }
        self.refresh = refresh;
        access
    }

    async fn forget(&mut self) {
        self.refresh = None;
        if let Some(file) = self.file.clone()
            && let Err(error) = blocking(move || file.forget()).await
        {
            tracing::warn!(code = error.code(), %error, "a refused refresh token is still there");
        }
    }
}

enum Renewed {
    Token(AccessToken),
    /// There is no refresh token, or why it is of no use any more.
    Nothing(Option<ClientError>),
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime is ending.
        Err(_) => Err(ClientError::Closed),
    }
}

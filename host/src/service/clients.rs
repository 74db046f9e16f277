use std::path::Path;

use axum::http::{HeaderMap, header};
use thiserror::Error;
use tokensmith_engine::exchange::{
    CLIENT_ASSERTION_TYPE, ClientAssertion, ClientAuthMethod, ClientGrantType, ClientRegistration,
    ExchangeError, RegistrationError,
};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::verify::KeyRing;
use tokensmith_engine::verify::aws_lc::AwsLc;

use super::Service;
use super::Settings;
use super::caller::Caller;
use super::form::Form;
use super::oauth_error::OauthError;
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::store::OpaqueDigest;

/// The clients of the token endpoint, with their keys.
#[derive(Debug)]
pub(super) struct Clients {
    registrations: Vec<ClientRegistration>,
    /// Each client's keys, under its id as issuer.
    keys: KeyRing,
}

/// Why clients are not usable.
#[derive(Debug, Error)]
pub enum ClientsError {
    /// A registration.
    #[error("`clients`: {0}")]
    Registration(#[from] RegistrationError),
    /// Certificates that no authority signed do not pass the listener.
    #[error(
        "client `{0}`: `self_signed_tls_client_auth` is not offered, as certificates are verified with `service_identity_ca`: use `tls_client_auth` or `private_key_jwt`"
    )]
    SelfSigned(String),
    /// A file of keys cannot be read.
    #[error("client `{client}`: cannot read `{path}`: {error}")]
    Keys {
        /// The client.
        client: String,
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

/// A client that has shown who it is.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// What is known of it.
    pub(super) registration: ClientRegistration,
    /// The certificate it authenticated with, as `x5t#S256`: its tokens are bound to that.
    pub(super) confirmation: Option<String>,
}

impl Settings {
    /// Whether the clients of the configuration are good, with the keys that are in files.
    ///
    /// # Errors
    /// [`ClientsError`].
    pub fn check_clients(&self) -> Result<(), ClientsError> {
        Clients::new(self.config.clients.clone()).map(drop)
    }
}

impl Clients {
    /// Checks registrations and reads the keys that are in files.
    pub(super) fn new(registrations: Vec<ClientRegistration>) -> Result<Self, ClientsError> {
        ClientRegistration::check_all(&registrations)?;
        let limits = Limits::default();
        let mut sets = Vec::new();
        for client in &registrations {
            if client.auth == ClientAuthMethod::SelfSignedTlsClientAuth {
                return Err(ClientsError::SelfSigned(client.client_id.clone()));
            }
            if client.auth != ClientAuthMethod::PrivateKeyJwt {
                continue;
            }
            let file =
                match &client.jwks_file {
                    Some(path) => Some(std::fs::read(Path::new(path)).map_err(|error| {
                        ClientsError::Keys {
                            client: client.client_id.clone(),
                            path: path.clone(),
                            error,
                        }
                    })?),
                    None => None,
                };
            sets.push((
                client.client_id.clone(),
                client.key_set(file.as_deref(), &limits)?,
            ));
        }
        let keys = KeyRing::new(sets.iter().map(|(id, set)| (id.as_str(), set)), &AwsLc);
        Ok(Self {
            registrations,
            keys,
        })
    }

    fn find(&self, client_id: &str) -> Option<&ClientRegistration> {
        ClientRegistration::find(&self.registrations, client_id)
    }
}

impl ClientsError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ClientsError::Registration(error) => error.code(),
            ClientsError::SelfSigned(_) => "client_self_signed",
            ClientsError::Keys { .. } => "client_keys",
        }
    }
}

impl Client {
    /// Whether it may use a grant type.
    ///
    /// # Errors
    /// 400 `unauthorized_client`.
    pub(super) fn may_use(&self, grant: ClientGrantType) -> Result<(), OauthError> {
        if self.registration.allows(grant) {
            return Ok(());
        }
        let client = self.registration.client_id.clone();
        let grant = grant.name();
        Err(OauthError::refused_exchange(&ExchangeError::GrantType {
            client,
            grant,
        }))
    }
}

impl Service {
    /// Who the client is that sent a form (RFC 6749 section 2.3): by an assertion or by its
    /// certificate. `None` for a public client, which no registration names.
    ///
    /// # Errors
    /// 401 `invalid_client`, 429, 503.
    pub(super) async fn client(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Option<Client>, OauthError> {
        if headers.contains_key(header::AUTHORIZATION) || form.optional("client_secret").is_some() {
            return Err(OauthError::invalid_client(
                "clients have no secrets here: send `client_assertion`, or a certificate",
                "client_auth_method",
            )
            .challenged());
        }
        let named = form.optional("client_id");
        if let Some(assertion) = form.optional("client_assertion") {
            let kind = form.required("client_assertion_type")?;
            if kind != CLIENT_ASSERTION_TYPE {
                return Err(OauthError::invalid_request(format!(
                    "`client_assertion_type` has to be `{CLIENT_ASSERTION_TYPE}`"
                )));
            }
            return self.by_assertion(caller, named, assertion).await.map(Some);
        }
        let Some(registration) = named.and_then(|name| self.clients.find(name)) else {
            return Ok(None);
        };
        let matching = caller
            .certificate
            .as_ref()
            .filter(|certificate| registration.matches_certificate(&certificate.names));
        match matching {
            Some(certificate) => Ok(Some(Client {
                registration: registration.clone(),
                confirmation: Some(certificate.names.thumbprint.clone()),
            })),
            None => {
                let code = "client_certificate";
                Err(self
                    .not_this_client(caller, &registration.client_id, code)
                    .await)
            }
        }
    }

    async fn by_assertion(
        &self,
        caller: &Caller,
        named: Option<&str>,
        assertion: &str,
    ) -> Result<Client, OauthError> {
        let now = unix_now();
        let refused = |error: tokensmith_engine::exchange::ClientAssertionError| {
            OauthError::invalid_client(error.to_string(), error.code())
        };
        let unverified = ClientAssertion::begin(assertion, &Limits::default()).map_err(refused)?;
        let client_id = unverified.client_id().to_owned();
        let known = self
            .clients
            .find(&client_id)
            .filter(|client| client.auth == ClientAuthMethod::PrivateKeyJwt)
            .filter(|_| named.is_none_or(|named| named == client_id));
        let Some(registration) = known else {
            return Err(self
                .not_this_client(caller, &client_id, "client_unknown")
                .await);
        };
        let issuer = self.settings.issuer.as_str();
        let endpoint = format!("{}/oauth/token", issuer.trim_end_matches('/'));
        let short = format!("{}/token", issuer.trim_end_matches('/'));
        let audiences = [issuer, endpoint.as_str(), short.as_str()];
        let verified = match unverified.verify(&self.clients.keys, &audiences, now) {
            Ok(verified) => verified,
            Err(error) => {
                tracing::info!(client_id, %error, "a client assertion is refused");
                let code = error.code();
                return Err(self.not_this_client(caller, &client_id, code).await);
            }
        };
        let text = format!("client_assertion\n{client_id}\n{}", verified.jti);
        let digest = OpaqueDigest::of(&text);
        if !self.store.first_seen(&digest, verified.ends).await? {
            let code = "client_assertion_replayed";
            return Err(self.not_this_client(caller, &client_id, code).await);
        }
        Ok(Client {
            registration: registration.clone(),
            confirmation: None,
        })
    }

    /// Records and counts a failed authentication, and makes its answer.
    async fn not_this_client(
        &self,
        caller: &Caller,
        client_id: &str,
        code: &'static str,
    ) -> OauthError {
        let now = unix_now();
        self.auditor.refused(
            AuditEvent::Denied,
            "client_authentication_failed",
            caller,
            code,
        );
        self.attempt_failed(caller, now).await;
        // Names that a caller made up are nobody's.
        if self.clients.find(client_id).is_some()
            && let Err(error) = self.subject_failed(client_id, now).await
        {
            return error;
        }
        OauthError::invalid_client("the client is not known, or has not shown who it is", code)
            .recorded()
    }
}

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::{ANY_CLIENT, PUBLIC};
use super::{CertificateNames, ExchangeError, RegistrationError, ServiceGrant};
use crate::jose::{JwkSet, Limits, decode_base64url};

/// A client of the token endpoint: a table `[[clients]]` of the configuration.
///
/// ```
/// use tokensmith_engine::exchange::{ClientAuthMethod, ClientRegistration};
/// let client: ClientRegistration = serde_json::from_str(r#"{
///     "client_id": "inventory-sync",
///     "auth": "tls_client_auth",
///     "certificate": {"san_dns": "sync.site.example"},
///     "grants": ["client_credentials", "token_exchange"],
///     "client_credentials": {"audience": ["smd"], "scopes": ["read"]}
/// }"#).unwrap();
/// assert!(client.check().is_ok());
/// assert_eq!(client.auth, ClientAuthMethod::TlsClientAuth);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRegistration {
    /// `client_id`.
    pub client_id: String,
    /// How it shows that it is this client.
    pub auth: ClientAuthMethod,
    /// Its keys, for `private_key_jwt`: a JWK set (RFC 7517 section 5), or the text of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// The file with its keys, instead of `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<String>,
    /// The name its certificate has, for `tls_client_auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateName>,
    /// Its certificates' thumbprints (`x5t#S256`), for `self_signed_tls_client_auth`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_sha256: Vec<String>,
    /// The grant types it may use.
    pub grants: Vec<ClientGrantType>,
    /// What it gets for its own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentialsGrant>,
}

/// How a client authenticates. There are no shared secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// An assertion that one of its keys signed (RFC 7523, OpenID Connect Core section 9).
    PrivateKeyJwt,
    /// A certificate of an authority that is trusted for clients (RFC 8705 section 2.1).
    TlsClientAuth,
    /// A certificate that is registered itself (RFC 8705 section 2.2).
    SelfSignedTlsClientAuth,
}

/// The one name that a certificate has to have, to the letter (RFC 8705 section 2.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateName {
    /// The common name of its subject.
    SubjectDnCn(String),
    /// An alternative name that is a DNS name.
    SanDns(String),
    /// An alternative name that is a URI.
    SanUri(String),
}

/// A grant type that clients may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientGrantType {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 8693.
    TokenExchange,
}

/// What a client gets for its own credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentialsGrant {
    /// `sub`; the client's id without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// `scope`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// `roles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

impl ClientRegistration {
    /// Checks what types cannot, of all clients together. Their keys are checked by
    /// [`ClientRegistration::key_set`].
    ///
    /// # Errors
    /// The first [`RegistrationError`] found.
    pub fn check_all(clients: &[Self]) -> Result<(), RegistrationError> {
        for (index, client) in clients.iter().enumerate() {
            client.check()?;
            let mut before = clients.iter().take(index);
            if before.any(|other| other.client_id == client.client_id) {
                return Err(RegistrationError::Duplicate(client.client_id.clone()));
            }
            let subject = client
                .client_credentials
                .as_ref()
                .and_then(|grant| grant.subject.as_ref());
            let is_other = |other: &Self| {
                other.client_id != client.client_id && Some(&other.client_id) == subject
            };
            if clients.iter().any(is_other) {
                return Err(RegistrationError::Grant {
                    client: client.client_id.clone(),
                    message: "`client_credentials.subject` is the id of another client",
                });
            }
        }
        Ok(())
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first [`RegistrationError`] found.
    pub fn check(&self) -> Result<(), RegistrationError> {
        check_name(&self.client_id)?;
        self.check_authentication()?;
        self.check_grants()
    }

    /// The client named `client_id`.
    pub fn find<'c>(clients: &'c [Self], client_id: &str) -> Option<&'c Self> {
        clients.iter().find(|client| client.client_id == client_id)
    }

    /// Whether the client may use the grant type.
    pub fn allows(&self, grant: ClientGrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// The keys that sign the client's assertions; `file` is what `jwks_file` has. Every key has
    /// to be usable.
    ///
    /// # Errors
    /// [`RegistrationError::Jwks`] and [`RegistrationError::Authentication`].
    pub fn key_set(
        &self,
        file: Option<&[u8]>,
        limits: &Limits,
    ) -> Result<JwkSet, RegistrationError> {
        let text = match (&self.jwks, file) {
            (Some(Value::String(text)), _) => text.clone().into_bytes(),
            (Some(set), _) => set.to_string().into_bytes(),
            (None, Some(file)) => file.to_vec(),
            (None, None) => return Err(self.authentication("there is no key set")),
        };
        let mut set = JwkSet::parse(&text, limits).map_err(|error| self.jwks(error))?;
        if let Some(rejected) = set.rejected.pop() {
            return Err(self.jwks(rejected.error));
        }
        if set.keys.is_empty() {
            return Err(self.authentication("the key set has no key"));
        }
        Ok(set)
    }

    /// Whether a certificate, which was verified, is the client's. Where the client is registered
    /// with `self_signed_tls_client_auth` nothing but the thumbprint counts, and no authority need
    /// have signed the certificate.
    pub fn matches_certificate(&self, certificate: &CertificateNames) -> bool {
        match (self.auth, &self.certificate) {
            (ClientAuthMethod::PrivateKeyJwt, _) | (ClientAuthMethod::TlsClientAuth, None) => false,
            (ClientAuthMethod::TlsClientAuth, Some(name)) => match name {
                CertificateName::SubjectDnCn(name) => {
                    certificate.common_name.as_deref() == Some(name.as_str())
                }
                CertificateName::SanDns(name) => certificate.has_dns(name),
                CertificateName::SanUri(name) => certificate.has_uri(name),
            },
            (ClientAuthMethod::SelfSignedTlsClientAuth, _) => {
                self.certificate_sha256.contains(&certificate.thumbprint)
            }
        }
    }

    /// What the client gets for its own credentials: all it was granted, or those of the targets
    /// and scopes that it asks for.
    ///
    /// # Errors
    /// [`ExchangeError::GrantType`], [`ExchangeError::Target`] and [`ExchangeError::Scope`].
    pub fn service_grant(
        &self,
        targets: &[String],
        scopes: Option<&[String]>,
    ) -> Result<ServiceGrant, ExchangeError> {
        let grant = self
            .client_credentials
            .as_ref()
            .filter(|_| self.allows(ClientGrantType::ClientCredentials))
            .ok_or_else(|| ExchangeError::GrantType {
                client: self.client_id.clone(),
                grant: ClientGrantType::ClientCredentials.name(),
            })?;
        let grant = ServiceGrant {
            subject: grant.subject.as_ref().unwrap_or(&self.client_id).clone(),
            audience: grant.audience.clone(),
            scopes: grant.scopes.clone(),
            roles: grant.roles.clone(),
        };
        grant.narrowed(targets, scopes)
    }

    fn check_authentication(&self) -> Result<(), RegistrationError> {
        let keys = self.jwks.is_some() || self.jwks_file.is_some();
        let thumbprints = !self.certificate_sha256.is_empty();
        let (fits, message) = match self.auth {
            ClientAuthMethod::PrivateKeyJwt => (
                self.jwks.is_some() != self.jwks_file.is_some()
                    && self.certificate.is_none()
                    && !thumbprints,
                "`private_key_jwt` needs one of `jwks` and `jwks_file`, and no certificate",
            ),
            ClientAuthMethod::TlsClientAuth => (
                self.certificate
                    .as_ref()
                    .is_some_and(|name| !name.is_blank())
                    && !keys
                    && !thumbprints,
                "`tls_client_auth` needs `certificate` with one name, and nothing else",
            ),
            ClientAuthMethod::SelfSignedTlsClientAuth => (
                thumbprints && !keys && self.certificate.is_none(),
                "`self_signed_tls_client_auth` needs `certificate_sha256`, and nothing else",
            ),
        };
        if !fits {
            return Err(self.authentication(message));
        }
        let no_digest =
            |text: &&String| decode_base64url(text).is_none_or(|bytes| bytes.len() != 32);
        match self.certificate_sha256.iter().find(no_digest) {
            None => Ok(()),
            Some(value) => Err(RegistrationError::Thumbprint {
                client: self.client_id.clone(),
                value: value.clone(),
            }),
        }
    }

    fn check_grants(&self) -> Result<(), RegistrationError> {
        let refuse = |message| {
            Err(RegistrationError::Grant {
                client: self.client_id.clone(),
                message,
            })
        };
        if self.grants.is_empty() {
            return refuse("`grants` is empty: name at least one grant type");
        }
        let own = self.allows(ClientGrantType::ClientCredentials);
        match &self.client_credentials {
            None if own => refuse("grant type `client_credentials` needs `client_credentials`"),
            None => Ok(()),
            Some(_) if !own => refuse("`client_credentials` needs that grant type in `grants`"),
            Some(grant)
                if grant
                    .subject
                    .as_ref()
                    .is_some_and(|sub| sub.trim().is_empty()) =>
            {
                refuse("`client_credentials.subject` is blank")
            }
            Some(grant) if has_blank(&grant.audience) || grant.audience.is_empty() => {
                refuse("`client_credentials.audience` needs at least one, none of them blank")
            }
            Some(grant) if has_blank(&grant.scopes) || has_blank(&grant.roles) => {
                refuse("`client_credentials` has a scope or role that is blank")
            }
            Some(_) => Ok(()),
        }
    }

    fn authentication(&self, message: &'static str) -> RegistrationError {
        RegistrationError::Authentication {
            client: self.client_id.clone(),
            message,
        }
    }

    fn jwks(&self, error: crate::jose::JwkError) -> RegistrationError {
        RegistrationError::Jwks {
            client: self.client_id.clone(),
            error,
        }
    }
}

impl ClientGrantType {
    /// As registrations name it.
    pub fn name(self) -> &'static str {
        match self {
            ClientGrantType::ClientCredentials => "client_credentials",
            ClientGrantType::TokenExchange => "token_exchange",
        }
    }
}

impl CertificateName {
    fn is_blank(&self) -> bool {
        let (CertificateName::SubjectDnCn(name)
        | CertificateName::SanDns(name)
        | CertificateName::SanUri(name)) = self;
        name.trim().is_empty()
    }
}

/// Whether `name` can name a client or service: in rules some words have a meaning of their own.
pub(super) fn check_name(name: &str) -> Result<(), RegistrationError> {
    let usable = !name.trim().is_empty()
        && name.len() <= 255
        && !name.contains(char::is_control)
        && name != ANY_CLIENT
        && name != PUBLIC;
    if usable {
        Ok(())
    } else {
        Err(RegistrationError::Name(name.chars().take(128).collect()))
    }
}

/// Whether one of the values is blank.
pub(super) fn has_blank(values: &[String]) -> bool {
    values.iter().any(|value| value.trim().is_empty())
}

#[cfg(test)]
mod tests;

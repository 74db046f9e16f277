use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{ClientError, Secret};

/// What a service has to show for its tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credential {
    /// A bootstrap token, good once (`tokensmith bootstrap-token create`). What renews after it is
    /// its refresh token.
    BootstrapToken(Secret),
    /// A client certificate that the token service knows (`[[service_identities]]`): its tokens
    /// are bound to it (RFC 8705), and a new session is begun whenever one is needed.
    Certificate(CertificateFiles),
    /// A client with a certificate (`tls_client_auth`, RFC 8705 section 2).
    ClientCertificate {
        /// `client_id`.
        client_id: String,
        /// Its certificate.
        files: CertificateFiles,
    },
    /// A client that signs assertions (`private_key_jwt`, RFC 7523 section 2.2).
    ClientAssertion {
        /// `client_id`.
        client_id: String,
        /// What signs.
        signer: AssertionSigner,
    },
    /// Nothing but the refresh token that an earlier process left in
    /// [`crate::Settings::refresh_file`].
    Stored,
}

/// A certificate and its key, PEM files. They are read again for each exchange, so that renewed
/// ones are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, those of intermediate authorities after it.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// A function that makes a new signed assertion for each call: `iss` and `sub` the client's id,
/// `aud` the token service's issuer, a `jti` of its own and an `exp` a minute away.
#[derive(Clone)]
pub struct AssertionSigner(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl Credential {
    /// The variable with a bootstrap token.
    pub const BOOTSTRAP_TOKEN: &'static str = "TOKENSMITH_BOOTSTRAP_TOKEN";
    /// The variable with the path of a certificate.
    pub const CERTIFICATE: &'static str = "TOKENSMITH_SERVICE_IDENTITY_CERT";
    /// The variable with the path of its key.
    pub const KEY: &'static str = "TOKENSMITH_SERVICE_IDENTITY_KEY";

    /// What the environment has: a certificate and its key, else a bootstrap token.
    ///
    /// # Errors
    /// [`ClientError::Setting`], naming the variables.
    pub fn from_environment() -> Result<Self, ClientError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let missing = |setting: &'static str, message: &str| ClientError::Setting {
            setting,
            message: message.to_owned(),
        };
        match (given(Self::CERTIFICATE), given(Self::KEY)) {
            (Some(certificate), Some(key)) => {
                return Ok(Self::Certificate(CertificateFiles {
                    certificate: certificate.into(),
                    key: key.into(),
                }));
            }
            (None, None) => {}
            (Some(_), None) => {
                return Err(missing(Self::KEY, "give the certificate's key too"));
            }
            (None, Some(_)) => {
                return Err(missing(Self::CERTIFICATE, "give the key's certificate too"));
            }
        }
        match given(Self::BOOTSTRAP_TOKEN) {
            Some(token) => Ok(Self::BootstrapToken(Secret::new(token))),
            None => Err(missing(
                Self::BOOTSTRAP_TOKEN,
                "give a bootstrap token, or TOKENSMITH_SERVICE_IDENTITY_CERT and \
                 TOKENSMITH_SERVICE_IDENTITY_KEY",
            )),
        }
    }

    /// The certificate to show, if there is one.
    pub(crate) fn files(&self) -> Option<&CertificateFiles> {
        match self {
            Self::Certificate(files) | Self::ClientCertificate { files, .. } => Some(files),
            Self::BootstrapToken(_) | Self::ClientAssertion { .. } | Self::Stored => None,
        }
    }
}

impl AssertionSigner {
    /// Signs with `sign`; its error is a message for the log.
    pub fn new(sign: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sign))
    }

    pub(crate) fn sign(&self) -> Result<Secret, ClientError> {
        (self.0)().map(Secret::new).map_err(ClientError::Assertion)
    }
}

impl fmt::Debug for AssertionSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AssertionSigner(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_environment_says_what_there_is() {
        let of = |variables: &'static [(&'static str, &'static str)]| {
            Credential::from_variables(|name| {
                let found = variables.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(matches!(of(&[]), Err(ClientError::Setting { .. })));
        assert!(matches!(
            of(&[(Credential::BOOTSTRAP_TOKEN, "b\n")]),
            Ok(Credential::BootstrapToken(secret)) if secret.expose() == "b"
        ));
        assert!(matches!(
            of(&[
                (Credential::BOOTSTRAP_TOKEN, "b"),
                (Credential::CERTIFICATE, "c.pem"),
                (Credential::KEY, "k.pem")
            ]),
            Ok(Credential::Certificate(files)) if files.key.as_path() == Path::new("k.pem")
        ));
        for (variables, named) in [
            (&[(Credential::CERTIFICATE, "c.pem")][..], Credential::KEY),
            (&[(Credential::KEY, "k.pem")][..], Credential::CERTIFICATE),
            (
                &[(Credential::BOOTSTRAP_TOKEN, " ")][..],
                Credential::BOOTSTRAP_TOKEN,
            ),
        ] {
            let error = of(variables).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::{ClientError, Credential, Environment, Schedule};

/// What a [`crate::ServiceClient`] is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) url: String,
    pub(crate) credential: Credential,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) refresh_file: Option<PathBuf>,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) environment: Environment,
}

impl Settings {
    /// The token service at `url` and what the service has to show there.
    pub fn new(url: impl Into<String>, credential: Credential) -> Self {
        Self {
            url: url.into().trim().trim_end_matches('/').to_owned(),
            credential,
            audience: Vec::new(),
            scopes: Vec::new(),
            refresh_file: None,
            authorities: None,
            timeout: Duration::from_secs(10),
            schedule: Schedule::default(),
            environment: Environment::default(),
        }
    }

    /// Asks for tokens for these audiences only; all that is granted without.
    #[must_use]
    pub fn audience(mut self, audience: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// Asks for these scopes only; all that are granted without.
    #[must_use]
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Where the newest refresh token is kept, for the owner of the file alone (mode 0600). One
    /// process uses it at a time.
    #[must_use]
    pub fn refresh_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.refresh_file = Some(path.into());
        self
    }

    /// A PEM file of authorities that are trusted beside the system's.
    #[must_use]
    pub fn authorities(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities = Some(path.into());
        self
    }

    /// How long one exchange may take; ten seconds without.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When tokens are renewed.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// The clock and the randomness, for tests.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// # Errors
    /// [`ClientError::Setting`].
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        let wrong =
            |setting: &'static str, message: String| Err(ClientError::Setting { setting, message });
        match Url::parse(&self.url) {
            Ok(url) if url.scheme() == "https" && url.has_host() => {}
            Ok(url) if url.scheme() == "http" && url.has_host() => tracing::warn!(
                url = self.url.as_str(),
                "tokens are fetched without TLS: whoever is on the way can read them"
            ),
            _ => {
                let message = format!("`{}` is not an http or https URL", self.url);
                return wrong("url", message);
            }
        }
        match &self.credential {
            Credential::BootstrapToken(secret) if secret.is_empty() => {
                wrong("credential", "the bootstrap token is empty".to_owned())
            }
            Credential::ClientCertificate { client_id, .. }
            | Credential::ClientAssertion { client_id, .. }
                if client_id.is_empty() =>
            {
                wrong("credential", "`client_id` is empty".to_owned())
            }
            Credential::Stored if self.refresh_file.is_none() => wrong(
                "refresh_file",
                "is needed where nothing else is shown for tokens".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn wrong_settings_are_named() {
        let token = || Credential::BootstrapToken(Secret::new("t"));
        let cases = [
            (Settings::new("", token()), "`url`"),
            (Settings::new("tokensmith:8080", token()), "`url`"),
            (Settings::new("ftp://tokensmith", token()), "`url`"),
            (
                Settings::new("https://a", Credential::BootstrapToken(Secret::new(" "))),
                "`credential`",
            ),
            (
                Settings::new("https://a", Credential::Stored),
                "`refresh_file`",
            ),
        ];
        for (settings, named) in cases {
            let error = settings.check().unwrap_err();
            assert_eq!(error.code(), "client_setting");
            assert!(error.to_string().starts_with(named), "{error}");
        }
        assert!(Settings::new("https://a/", token()).check().is_ok());
        assert_eq!(Settings::new(" https://a/ ", token()).url, "https://a");
    }
}

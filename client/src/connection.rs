use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use zeroize::Zeroizing;

use crate::answer::{self, Granted};
use crate::{CertificateFiles, ClientError, Settings};

/// No answer of a token endpoint is larger, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// No file of a certificate or key is larger, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// An HTTP client, and the certificate it shows.
pub(crate) struct Connection {
    http: reqwest::Client,
    /// The certificate's and key's bytes, to notice new ones.
    shown: Option<Zeroizing<Vec<u8>>>,
}

impl Connection {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ClientError::CredentialFile`], [`ClientError::Http`].
    pub(crate) async fn open(settings: &Settings) -> Result<Self, ClientError> {
        let shown = match settings.credential.files() {
            Some(files) => Some(read_identity(files).await?),
            None => None,
        };
        Ok(Self {
            http: client(settings, shown.as_ref().map(|pem| pem.as_slice())).await?,
            shown,
        })
    }

    /// Takes new files into use; whether the certificate or key is another than before.
    ///
    /// # Errors
    /// As [`Connection::open`]; what was shown before is shown on.
    pub(crate) async fn follow(&mut self, settings: &Settings) -> Result<bool, ClientError> {
        let Some(files) = settings.credential.files() else {
            return Ok(false);
        };
        let now = read_identity(files).await?;
        let same = |shown: &Zeroizing<Vec<u8>>| shown.as_slice() == now.as_slice();
        if self.shown.as_ref().is_some_and(same) {
            return Ok(false);
        }
        self.http = client(settings, Some(now.as_slice())).await?;
        self.shown = Some(now);
        Ok(true)
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Posts a form to a token endpoint; `asked` is the time since 1970.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], and those of [`answer::read`].
    pub(crate) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        asked: Duration,
    ) -> Result<Granted, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: url.to_owned(),
            reason: root_cause(&error),
        };
        let request = self
            .http
            .post(url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(form));
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        // Room for all at once: a buffer that grows leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(ClientError::Answer {
                    url: url.to_owned(),
                    reason: format!("it is larger than {MAX_BODY} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        answer::read(url, status, retry_after.as_deref(), &body, asked)
    }
}

/// The form's bytes, erased when they are sent.
fn encoded(form: &[(&str, &str)]) -> Bytes {
    // Each byte becomes three at most.
    let room = form
        .iter()
        .map(|(name, value)| (name.len() + value.len()) * 3 + 2)
        .sum();
    let text = form_urlencoded::Serializer::new(String::with_capacity(room))
        .extend_pairs(form)
        .finish();
    Bytes::from_owner(Zeroizing::new(text.into_bytes()))
}

/// The certificate and the key, one after the other.
async fn read_identity(files: &CertificateFiles) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let certificate = read(&files.certificate).await?;
    let key = read(&files.key).await?;
    let mut both = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
    both.extend_from_slice(&certificate);
    both.push(b'\n');
    both.extend_from_slice(&key);
    Ok(both)
}

async fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<Zeroizing<Vec<u8>>> {
        let metadata = std::fs::metadata(&owned)?;
        if !metadata.is_file() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "not a file",
            ));
        }
        if metadata.len() > MAX_FILE {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(Zeroizing::new(std::fs::read(&owned)?))
    });
    let wrong = |message: String| ClientError::CredentialFile {
        path: path.display().to_string(),
        message,
    };
    match read.await {
        Ok(read) => read.map_err(|error| wrong(error.to_string())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

async fn client(
    settings: &Settings,
    identity: Option<&[u8]>,
) -> Result<reqwest::Client, ClientError> {
    let failed = |error: reqwest::Error| ClientError::Http(root_cause(&error));
    let mut builder = reqwest::Client::builder();
    if let Some(path) = &settings.authorities {
        let pem = read(path).await?;
        let wrong = |message: String| ClientError::CredentialFile {
            path: path.display().to_string(),
            message,
        };
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| wrong(root_cause(&error)))?;
        if certificates.is_empty() {
            return Err(wrong("it has no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let (Some(pem), Some(files)) = (identity, settings.credential.files()) {
        let identity =
            reqwest::Identity::from_pem(pem).map_err(|error| ClientError::CredentialFile {
                path: format!("{}, {}", files.certificate.display(), files.key.display()),
                message: root_cause(&error),
            })?;
        builder = builder.identity(identity);
    }
    builder
        .connect_timeout(settings.timeout.min(Duration::from_secs(3)))
        .timeout(settings.timeout)
        // Servers close idle connections after 5 s and more: a request must not meet that.
        .pool_idle_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tokensmith-client/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)
}

/// The innermost error says what happened; the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let form = [
            ("grant_type", "urn:a"),
            ("scope", "read write"),
            ("x", "&=é"),
        ];
        assert_eq!(
            &encoded(&form)[..],
            b"grant_type=urn%3Aa&scope=read+write&x=%26%3D%C3%A9"
        );
    }
}

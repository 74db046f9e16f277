use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use tokensmith_engine::keys::Answer;

use super::OidcError;

/// No metadata document, JWK set or answer about a token is larger.
const MAX_BODY: usize = 1024 * 1024;

/// Fetches one document.
///
/// # Errors
/// [`OidcError::Client`], [`OidcError::Unreachable`]; a status other than 200 is the latter.
pub async fn fetch_document(url: &str, timeout: Duration) -> Result<Vec<u8>, OidcError> {
    let document = get(&client(timeout, None)?, url, None).await?;
    match document.status {
        200 => Ok(document.body),
        status => Err(OidcError::Unreachable {
            url: url.to_owned(),
            reason: format!("status {status}"),
        }),
    }
}

/// A client that waits a bounded time and follows no redirect: where to is not the caller's to
/// choose.
pub(crate) fn client(
    timeout: Duration,
    authorities: Option<&Path>,
) -> Result<reqwest::Client, OidcError> {
    let mut builder = reqwest::Client::builder();
    if let Some(path) = authorities {
        let wrong = |reason: String| OidcError::Authorities {
            path: path.display().to_string(),
            reason,
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| wrong(error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong("it has no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .connect_timeout(timeout.min(Duration::from_secs(3)))
        .timeout(timeout)
        // Servers close idle connections after 5 s and more: a request must not meet that.
        .pool_idle_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tokensmith/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(OidcError::Client)
}

/// What a request brought.
pub(crate) struct Document {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Document {
    /// As the engine takes it.
    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            etag: self.etag.as_deref(),
            cache_control: self.cache_control.as_deref(),
            body: &self.body,
        }
    }
}

/// A GET, conditional when there is an entity tag.
pub(crate) async fn get(
    client: &reqwest::Client,
    url: &str,
    etag: Option<&str>,
) -> Result<Document, OidcError> {
    let mut request = client.get(url);
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    send(request, url).await
}

/// A POST of a form by a client with its secret (RFC 6749 section 2.3.1).
pub(super) async fn post_form(
    client: &reqwest::Client,
    url: &str,
    (client_id, secret): (&str, &str),
    parameters: &[(&str, &str)],
) -> Result<Document, OidcError> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let request = client
        .post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .basic_auth(encoded(client_id), Some(encoded(secret)))
        .body(body);
    send(request, url).await
}

async fn send(request: reqwest::RequestBuilder, url: &str) -> Result<Document, OidcError> {
    let unreachable = |error: reqwest::Error| OidcError::Unreachable {
        url: url.to_owned(),
        reason: root_cause(&error),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let header = |name| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (etag, cache_control) = (header(ETAG), header(CACHE_CONTROL));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(OidcError::Unreachable {
                url: url.to_owned(),
                reason: format!("the answer is larger than {MAX_BODY} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Document {
        status: response.status().as_u16(),
        etag,
        cache_control,
        body,
    })
}

/// Before it is put into a header a client's id and secret are form-encoded each.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The innermost error says what happened; the outer ones repeat the URL.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH};

use crate::{Document, Fetch, FetchFailed, Fetching, TowerError};

/// Less than [`tokensmith_engine::keys::RefreshPolicy::timeout`].
const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches with reqwest.
#[derive(Clone, Debug)]
pub struct ReqwestFetch(reqwest::Client);

impl ReqwestFetch {
    /// A client that waits five seconds at most and follows no redirect: where to is not the
    /// caller's to choose.
    ///
    /// # Errors
    /// [`TowerError::Http`].
    pub fn new() -> Result<Self, TowerError> {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(TIMEOUT)
            // Servers close idle connections after 5 s and more: a request must not meet that.
            .pool_idle_timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tokensmith-tower/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|error| TowerError::Http(root_cause(&error)))
    }

    /// A client of one's own, with its authorities, proxies and time-outs. It is to follow no
    /// redirect.
    pub fn with(client: reqwest::Client) -> Self {
        Self(client)
    }

    async fn fetch(
        &self,
        url: &str,
        etag: Option<&str>,
        most: usize,
    ) -> Result<Document, FetchFailed> {
        let failed = |error: reqwest::Error| FetchFailed(root_cause(&error));
        let mut request = self.0.get(url);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(failed)?;
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (etag, cache_control) = (header(ETAG), header(CACHE_CONTROL));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len().saturating_add(chunk.len()) > most {
                return Err(FetchFailed(format!("more than {most} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Document {
            status,
            etag,
            cache_control,
            body,
        })
    }
}

impl Fetch for ReqwestFetch {
    fn get<'f>(&'f self, url: &'f str, etag: Option<&'f str>, most: usize) -> Fetching<'f> {
        Box::pin(self.fetch(url, etag, most))
    }
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

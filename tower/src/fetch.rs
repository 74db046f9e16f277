use std::fmt;
use std::pin::Pin;

use thiserror::Error;
use tokensmith_engine::keys::Answer;

/// What a fetch brought, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Status code.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// There was no answer: why.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct FetchFailed(pub String);

/// A fetch under way.
pub type Fetching<'f> = Pin<Box<dyn Future<Output = Result<Document, FetchFailed>> + Send + 'f>>;

/// Makes HTTP requests for JWK sets and policy bundles.
pub trait Fetch: Send + Sync + 'static {
    /// GET `url`, with `If-None-Match` where there is an entity tag. It has to end within ten
    /// seconds, follow no redirect, and refuse a body of more than `most` bytes.
    fn get<'f>(&'f self, url: &'f str, etag: Option<&'f str>, most: usize) -> Fetching<'f>;
}

/// A function that fetches: it is given the URL and the entity tag.
#[derive(Clone, Copy)]
pub struct FetchFn<F>(pub F);

impl<F, R> Fetch for FetchFn<F>
where
    F: Fn(String, Option<String>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Document, FetchFailed>> + Send + 'static,
{
    fn get<'f>(&'f self, url: &'f str, etag: Option<&'f str>, most: usize) -> Fetching<'f> {
        let fetching = (self.0)(url.to_owned(), etag.map(str::to_owned));
        Box::pin(async move {
            let document = fetching.await?;
            if document.body.len() > most {
                return Err(FetchFailed(format!("more than {most} bytes")));
            }
            Ok(document)
        })
    }
}

impl<F> fmt::Debug for FetchFn<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FetchFn(..)")
    }
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

use std::time::Duration;

use super::OidcError;

/// No metadata document or JWK set is larger.
const MAX_BODY: usize = 1024 * 1024;

/// Fetches one document.
///
/// # Errors
/// [`OidcError::Client`], [`OidcError::Unreachable`]; a status other than 200 is the latter.
pub async fn fetch_document(url: &str, timeout: Duration) -> Result<Vec<u8>, OidcError> {
    match get(&client(timeout)?, url).await? {
        (200, body) => Ok(body),
        (status, _) => Err(OidcError::Unreachable {
            url: url.to_owned(),
            reason: format!("status {status}"),
        }),
    }
}

/// A client that waits a bounded time and follows no redirect: where to is not the caller's to
/// choose.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client, OidcError> {
    reqwest::Client::builder()
        .connect_timeout(timeout.min(Duration::from_secs(3)))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tokensmith/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(OidcError::Client)
}

/// Status and body of a GET.
pub(super) async fn get(client: &reqwest::Client, url: &str) -> Result<(u16, Vec<u8>), OidcError> {
    let unreachable = |error: reqwest::Error| OidcError::Unreachable {
        url: url.to_owned(),
        reason: root_cause(&error),
    };
    let mut response = client.get(url).send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
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
    Ok((status, body))
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

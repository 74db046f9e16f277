use super::oauth_error::OauthError;
use crate::telemetry;

/// Does `work` whole, though the caller goes away meanwhile: what was begun in the store and told
/// to the audit log must not stop half-way.
///
/// # Errors
/// What `work` answers; 500 when it panicked.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, OauthError>> + Send + 'static,
) -> Result<T, OauthError> {
    match tokio::spawn(telemetry::in_this_span(work)).await {
        Ok(done) => done,
        Err(error) => Err(OauthError::internal(error)),
    }
}

use std::time::SystemTime;

use crate::ClientError;

/// How renewing goes.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Tokens got, the first included.
    pub renewals: u64,
    /// Exchanges that failed.
    pub failures: u64,
    /// Why the last exchange failed; none when it did not.
    pub last_error: Option<ClientError>,
    /// When the last exchange was begun.
    pub last_attempt: Option<SystemTime>,
    /// When the last token was got.
    pub last_success: Option<SystemTime>,
    /// When the token in use ends.
    pub expires_at: Option<SystemTime>,
    /// When the refresh token ends, if there is one that does.
    pub refresh_expires_at: Option<SystemTime>,
    /// Whether nothing is tried any more: `last_error` says why.
    pub ended: bool,
}

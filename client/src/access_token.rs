use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::Secret;

/// An access token. Clones share one copy, which is erased with the last of them.
#[derive(Clone)]
pub struct AccessToken(Arc<Inner>);

struct Inner {
    text: Secret,
    authorization: HeaderValue,
    issued: Duration,
    expires: Duration,
    scope: String,
}

impl AccessToken {
    /// `None` for a text that no header can hold. Times are since 1970.
    pub(crate) fn new(
        text: Secret,
        issued: Duration,
        expires: Duration,
        scope: String,
    ) -> Option<Self> {
        let header = ["Bearer ", text.expose()].concat().into_bytes();
        // The header shares these bytes, which are erased with it.
        let header = Bytes::from_owner(Zeroizing::new(header));
        let mut authorization = HeaderValue::from_maybe_shared(header).ok()?;
        authorization.set_sensitive(true);
        Some(Self(Arc::new(Inner {
            text,
            authorization,
            issued,
            expires,
            scope,
        })))
    }

    /// The token.
    pub fn expose(&self) -> &str {
        self.0.text.expose()
    }

    /// The value of the `Authorization` header, marked as sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.0.authorization
    }

    /// When it ends.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + self.0.expires
    }

    /// The scopes granted, with blanks between them.
    pub fn scope(&self) -> &str {
        &self.0.scope
    }

    pub(crate) fn issued(&self) -> Duration {
        self.0.issued
    }

    pub(crate) fn expires(&self) -> Duration {
        self.0.expires
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessToken")
            .field("expires_at", &self.expires_at())
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}

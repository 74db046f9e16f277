use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::Value;
use tokensmith_engine::claims::Claims;

use super::Service;
use super::oauth_error::OauthError;
use super::observe::RequestId;
use crate::listener::{ClientCertificate, Peer};

/// Seconds for which failed attempts count.
const WINDOW: i64 = 60;
/// Failed attempts of one address in [`WINDOW`], at all replicas together.
const ATTEMPTS: i64 = 5;
/// Failed attempts with one subject's credentials in [`WINDOW`], from wherever.
const SUBJECT_ATTEMPTS: i64 = 50;

/// Who asks, and in which request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The client's address; none at a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// The certificate it showed, which was verified.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    /// The request.
    pub(super) request: RequestId,
}

impl Caller {
    /// How logs name it.
    pub(super) fn name(&self) -> String {
        match self.address {
            Some(address) => address.to_string(),
            None => "local".to_owned(),
        }
    }

    /// Its certificate's thumbprint, `x5t#S256` (RFC 8705 section 3.1).
    pub(super) fn confirmation(&self) -> Option<&str> {
        let certificate = self.certificate.as_ref()?;
        Some(&certificate.names.thumbprint)
    }

    /// Whether it may present a token with `claims`: one that is bound to a certificate needs
    /// that (RFC 8705 section 3), and what else a token may be bound to is not shown here.
    pub(super) fn shows(&self, claims: &Claims) -> bool {
        let Some(cnf) = claims.all().get("cnf") else {
            return true;
        };
        let thumbprint = cnf.get("x5t#S256").and_then(Value::as_str);
        let alone = cnf.as_object().is_some_and(|cnf| cnf.len() == 1);
        alone && thumbprint.is_some() && thumbprint == self.confirmation()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        Ok(Self {
            address: peer.and_then(|peer| peer.address),
            certificate: peer.and_then(|peer| peer.certificate.clone()),
            request: parts
                .extensions
                .get::<RequestId>()
                .cloned()
                .unwrap_or_else(|| RequestId("none".to_owned())),
        })
    }
}

impl Service {
    /// Lets a caller in who has not failed too often.
    ///
    /// # Errors
    /// 429; 503 when the store that the replicas share does not answer.
    pub(super) async fn admit(&self, caller: &Caller, now: i64) -> Result<(), OauthError> {
        let Some(address) = caller.address else {
            return Ok(());
        };
        let mut wait = self.limiter.wait(address, now);
        if wait.is_none() && self.store.is_shared() {
            let bucket = address_bucket(address);
            wait = self
                .store
                .attempt_wait(&bucket, now, WINDOW, ATTEMPTS)
                .await?;
        }
        match wait {
            Some(seconds) => Err(OauthError::too_many_requests(seconds)),
            None => Ok(()),
        }
    }

    /// Counts a failed attempt against the caller's address.
    pub(super) async fn attempt_failed(&self, caller: &Caller, now: i64) {
        let Some(address) = caller.address else {
            return;
        };
        self.limiter.failed(address, now);
        if self.store.is_shared() {
            self.count(&address_bucket(address), now).await;
        }
    }

    /// Counts a failed attempt with credentials of `subject`, and refuses when there were too
    /// many, from however many addresses. Whoever has good credentials is let in all the same:
    /// nobody locks another out.
    ///
    /// # Errors
    /// 429.
    pub(super) async fn subject_failed(&self, subject: &str, now: i64) -> Result<(), OauthError> {
        let bucket = format!("subject:{subject}");
        let waiting = self
            .store
            .attempt_wait(&bucket, now, WINDOW, SUBJECT_ATTEMPTS)
            .await?;
        if let Some(seconds) = waiting {
            return Err(OauthError::too_many_requests(seconds));
        }
        self.count(&bucket, now).await;
        Ok(())
    }

    async fn count(&self, bucket: &str, now: i64) {
        if let Err(error) = self.store.attempt_failed(bucket, now, WINDOW).await {
            tracing::warn!(%error, "cannot count a failed attempt");
        }
    }
}

fn address_bucket(address: IpAddr) -> String {
    format!("address:{}", super::attempt_limiter::network(address))
}

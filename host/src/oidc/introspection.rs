use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokensmith_engine::claims::{ClaimRules, Claims};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::oidc::check_introspection;
use tokensmith_engine::verify::{Cached, VerdictCache};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{ClientSecret, OidcError, http_get};
use crate::clock::unix_now;
use crate::random;

/// How long an answer is used again, in seconds: a token that the provider revoked is exchanged
/// no longer than this.
const KEEP_SECONDS: i64 = 10;
/// At most this many answers are kept.
const KEPT: usize = 1024;
/// At most this many questions at a time: callers with made-up tokens must not turn against the
/// provider.
const AT_A_TIME: usize = 16;
/// No question waits longer for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the provider about opaque access tokens (RFC 7662).
#[derive(Debug)]
pub(super) struct Introspector {
    client: reqwest::Client,
    client_id: String,
    secret: ClientSecret,
    rules: ClaimRules,
    /// Good answers by the digest of their token, which is all that is kept of it.
    kept: Mutex<VerdictCache<Claims>>,
    turns: Semaphore,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Introspector {
    /// `rules` are those for the provider's access tokens.
    pub(super) fn new(
        client: reqwest::Client,
        client_id: &str,
        secret: ClientSecret,
        rules: ClaimRules,
    ) -> Self {
        Self {
            client,
            client_id: client_id.to_owned(),
            secret,
            rules,
            kept: Mutex::new(VerdictCache::new(KEPT, random::digest_key())),
            turns: Semaphore::new(AT_A_TIME),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// How often the provider answered, and how often not.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }

    /// The claims of an active token, as the provider at `endpoint` tells them.
    pub(super) async fn introspect(
        &self,
        endpoint: &str,
        token: &str,
    ) -> Result<Claims, OidcError> {
        let (digest, kept) = {
            let mut cache = self.kept();
            let digest = cache.digest(token);
            let kept = cache.get(&digest, unix_now());
            (digest, kept)
        };
        if let Some(Cached::Verified(claims)) = kept {
            return Ok(claims);
        }
        let answer = self.ask(endpoint, token).await;
        let counter = match &answer {
            Ok(_) => &self.answered,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let now = unix_now();
        let limits = Limits::default();
        let claims = check_introspection(&answer?, &self.rules, &self.client_id, &limits, now)?;
        let until = claims
            .exp()
            .unwrap_or(now)
            .min(now.saturating_add(KEEP_SECONDS));
        self.kept().insert(digest, claims.clone(), until);
        Ok(claims)
    }

    async fn ask(&self, endpoint: &str, token: &str) -> Result<Vec<u8>, OidcError> {
        let Ok(turn) = timeout(PATIENCE, self.turns.acquire()).await else {
            return Err(OidcError::Unreachable {
                url: endpoint.to_owned(),
                reason: "too many other tokens are asked about".to_owned(),
            });
        };
        // The semaphore is never closed.
        let _turn = turn.map_err(|_| OidcError::NoKeys)?;
        let credentials = (self.client_id.as_str(), self.secret.as_str());
        let parameters = [("token", token), ("token_type_hint", "access_token")];
        let document =
            http_get::post_form(&self.client, endpoint, credentials, &parameters).await?;
        match document.status {
            200 => Ok(document.body),
            status @ (400 | 401 | 403) => Err(OidcError::IntrospectionRefused(format!(
                "`{endpoint}` answers with status {status}"
            ))),
            status => Err(OidcError::Unreachable {
                url: endpoint.to_owned(),
                reason: format!("status {status}"),
            }),
        }
    }

    fn kept(&self) -> MutexGuard<'_, VerdictCache<Claims>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wait_for_a_turn_has_an_end() {
        let issuer = "https://idp.example";
        let introspector = Introspector::new(
            http_get::client(Duration::from_secs(1), None).unwrap(),
            "tokensmith",
            ClientSecret::new("s".to_owned()).unwrap(),
            ClaimRules::generic(issuer, ["tokensmith"]),
        );
        let turns = introspector.turns.acquire_many(16).await.unwrap();
        let began = std::time::Instant::now();
        let asked = introspector.introspect(issuer, "opaque").await;
        let error = asked.unwrap_err();
        assert!(began.elapsed() < 2 * PATIENCE);
        assert!(!error.is_about_token(), "{error}");
        assert_eq!(error.code(), "oidc_unreachable");
        assert_eq!(introspector.counts(), (0, 1));
        drop(turns);
    }
}

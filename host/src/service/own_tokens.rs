use std::sync::Arc;

use arc_swap::ArcSwap;
use tokensmith_engine::claims::{ClaimRules, Claims};
use tokensmith_engine::jose::{Jwk, JwkSet, Jws, Limits};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, VerifyError, verify_jws};

use super::Service;
use super::oauth_error::OauthError;

/// Verifies the access tokens that this service issued, for whichever audience.
#[derive(Debug)]
pub(super) struct OwnTokens {
    issuer: String,
    limits: Limits,
    ring: ArcSwap<KeyRing>,
}

impl OwnTokens {
    /// For tokens of `issuer` that one of `keys` signed.
    pub(super) fn new<'k>(issuer: &str, keys: impl IntoIterator<Item = &'k Jwk>) -> Self {
        let own = Self {
            issuer: issuer.to_owned(),
            limits: Limits::default(),
            ring: ArcSwap::from_pointee(KeyRing::default()),
        };
        own.set_keys(keys);
        own
    }

    /// Takes `keys` in place of the former ones: all that are published, not only the one that
    /// signs.
    pub(super) fn set_keys<'k>(&self, keys: impl IntoIterator<Item = &'k Jwk>) {
        let set = JwkSet {
            keys: keys.into_iter().cloned().collect(),
            rejected: Vec::new(),
        };
        let ring = KeyRing::new([(self.issuer.as_str(), &set)], &AwsLc);
        self.ring.store(Arc::new(ring));
    }

    /// The claims of a token, whatever its `aud`, and without its `cnf` having been shown: both
    /// are for the resource server it is sent to. With [`VerifyError::Claim`] the signature was
    /// good.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub(super) fn verify(&self, token: &str, now: i64) -> Result<Claims, VerifyError> {
        // The same keys sign policy bundles, which are no tokens (RFC 8725 section 3.11).
        let typ = Jws::parse(token, &self.limits)?.header.typ;
        let typ = typ.unwrap_or_default();
        if !typ.eq_ignore_ascii_case("JWT") && !typ.eq_ignore_ascii_case("at+jwt") {
            return Err(VerifyError::TypeRefused(typ.chars().take(64).collect()));
        }
        let ring = self.ring.load_full();
        let payload = verify_jws(token, &ring, &self.issuer, None, &self.limits)?;
        let claims = Claims::parse(payload, &self.limits)?;
        let rules = ClaimRules::tokensmith(self.issuer.as_str(), claims.audiences());
        rules.check(&claims, now)?;
        Ok(claims)
    }
}

impl Service {
    /// Whether a token of this service, which was verified, has neither ended nor been revoked.
    ///
    /// # Errors
    /// 503 when the store does not answer.
    pub(super) async fn is_active(&self, claims: &Claims, now: i64) -> Result<bool, OauthError> {
        // Verification has leeway for other machines' clocks; what has ended by this one has.
        let ended = |end: Option<i64>| end.is_some_and(|end| end <= now);
        if ended(claims.exp()) || ended(claims.session_exp()) {
            return Ok(false);
        }
        // Without `jti` it could not be revoked, and none is issued so.
        let Some(jti) = claims.string("jti") else {
            return Ok(false);
        };
        let _timer = self.metrics.store_timer("introspect");
        let session_id = claims.string("session_id").unwrap_or_default();
        Ok(!self.store.is_revoked(jti, session_id).await?)
    }
}

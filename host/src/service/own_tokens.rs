use std::sync::Arc;

use arc_swap::ArcSwap;
use tokensmith_engine::claims::{ClaimRules, Claims};
use tokensmith_engine::jose::{Jwk, JwkSet, Jws, Limits};
use tokensmith_engine::verify::aws_lc::AwsLc;
use tokensmith_engine::verify::{KeyRing, VerifyError, verify_jws};

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

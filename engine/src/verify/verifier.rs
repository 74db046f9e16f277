use std::sync::Arc;

use super::{KeyRing, SignatureJob, Verified, VerifyError};
use crate::claims::{ClaimRules, Claims, Profile};
use crate::jose::{Header, Jws, Limits, is_thumbprint};

/// Verifies tokens of one or several issuers. Holds configuration only, no keys and no clock.
///
/// ```
/// use tokensmith_engine::claims::ClaimRules;
/// use tokensmith_engine::jose::Limits;
/// use tokensmith_engine::verify::{KeyRing, Verifier};
///
/// let rules = ClaimRules::tokensmith("https://issuer.example", ["api"]);
/// let verifier = Verifier::new([rules], Limits::default());
/// let error = verifier.verify("not-a-token", &KeyRing::default(), 0).unwrap_err();
/// assert_eq!(error.code(), "token_malformed");
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    issuers: Vec<Arc<ClaimRules>>,
    limits: Limits,
}

impl Verifier {
    /// A verifier that accepts tokens of the issuers in `rules`, each by its own rules and with
    /// its own keys.
    pub fn new(rules: impl IntoIterator<Item = ClaimRules>, limits: Limits) -> Self {
        Self {
            issuers: rules.into_iter().map(Arc::new).collect(),
            limits,
        }
    }

    /// Does everything but the signature check and the claim checks. `now` is Unix time in
    /// seconds.
    ///
    /// # Errors
    /// Any [`VerifyError`] but [`VerifyError::Signature`].
    pub fn begin<'t>(
        &self,
        token: &'t str,
        keys: &KeyRing,
        now: i64,
    ) -> Result<SignatureJob<'t>, VerifyError> {
        let jws = Jws::parse(token, &self.limits)?;
        check_type(&jws.header)?;
        let claims = Claims::parse(jws.payload, &self.limits)?;
        let rules = self
            .issuers
            .iter()
            .find(|rules| claims.iss() == Some(rules.issuer.as_str()))
            .ok_or_else(|| {
                VerifyError::IssuerRefused(
                    claims.iss().unwrap_or_default().chars().take(128).collect(),
                )
            })?;
        let key = select_key(&jws.header, rules, keys)?;
        Ok(SignatureJob {
            header: jws.header,
            key: Arc::clone(key),
            signing_input: jws.signing_input,
            signature: jws.signature,
            claims,
            rules: Arc::clone(rules),
            now,
        })
    }

    /// Verifies with the provider that prepared `keys`.
    ///
    /// # Errors
    /// Any [`VerifyError`]; [`VerifyError::KeyUnusable`] when the keys were prepared by
    /// [`super::External`].
    pub fn verify(&self, token: &str, keys: &KeyRing, now: i64) -> Result<Verified, VerifyError> {
        let job = self.begin(token, keys, now)?;
        let verdict = job.check().ok_or(VerifyError::KeyUnusable)?;
        job.finish(verdict)
    }
}

/// `dpop+jwt`, `logout+jwt` and their like are signed by the same keys but are no access tokens
/// (RFC 8725 section 3.11).
fn check_type(header: &Header) -> Result<(), VerifyError> {
    let Some(typ) = header.typ.as_deref() else {
        return Ok(());
    };
    let name = typ
        .get(..12)
        .filter(|prefix| prefix.eq_ignore_ascii_case("application/"))
        .and_then(|_| typ.get(12..))
        .unwrap_or(typ);
    if name.eq_ignore_ascii_case("JWT") || name.eq_ignore_ascii_case("at+jwt") {
        Ok(())
    } else {
        Err(VerifyError::TypeRefused(typ.chars().take(64).collect()))
    }
}

fn select_key<'k>(
    header: &Header,
    rules: &ClaimRules,
    keys: &'k KeyRing,
) -> Result<&'k Arc<super::Key>, VerifyError> {
    if rules.profile == Profile::TokenSmith {
        let kid = header.kid.as_deref().ok_or(VerifyError::KidMissing)?;
        if !is_thumbprint(kid) {
            return Err(VerifyError::KidMalformed);
        }
    }
    if !keys.has_issuer(&rules.issuer) {
        return Err(VerifyError::KeysUnavailable(rules.issuer.clone()));
    }
    let key = match header.kid.as_deref() {
        Some(kid) => keys
            .find(&rules.issuer, kid)
            .ok_or_else(|| VerifyError::UnknownKid {
                issuer: rules.issuer.clone(),
                kid: kid.to_owned(),
            })?,
        // One candidate is no choice; several would make the token's signature the chooser.
        None => {
            let mut fitting = keys
                .keys(&rules.issuer)
                .filter(|key| key.jwk().allows(header.algorithm));
            match (fitting.next(), fitting.next()) {
                (Some(key), None) => key,
                _ => return Err(VerifyError::KidMissing),
            }
        }
    };
    if !key.jwk().allows(header.algorithm) {
        return Err(VerifyError::KeyAlgorithm(
            header.algorithm.name().to_owned(),
        ));
    }
    Ok(key)
}

use std::borrow::Cow;
use std::sync::Arc;

use super::{Key, KeyRing, SignatureCheck, Verdict, VerifyError};
use crate::jose::{Algorithm, Header, JoseError, Jws, Limits};

/// At most this many keys are tried for a JWS without `kid`.
const KEYS_TRIED: usize = 8;

/// A compact JWS that is no token, and the keys that may have signed it. No claim is looked at: for
/// tokens use a [`super::Verifier`].
///
/// The payload inside is unverified and not readable from here.
#[derive(Debug)]
#[must_use = "a JWS is verified only by `finish`"]
pub struct JwsJob<'t> {
    jws: Jws<'t>,
    keys: Vec<Arc<Key>>,
}

/// Verifies a compact JWS against the keys of `issuer` in `keys` and returns its payload.
///
/// Without `kid` every key that allows the algorithm is tried, up to eight. No claim is looked
/// at: for tokens use a [`super::Verifier`].
///
/// # Errors
/// [`VerifyError`] with the codes of parsing, `alg_refused` when `algorithms` does not list the
/// header's, `kid_unknown`, `key_alg_mismatch` and `signature_invalid`.
pub fn verify_jws(
    jws: &str,
    keys: &KeyRing,
    issuer: &str,
    algorithms: Option<&[Algorithm]>,
    limits: &Limits,
) -> Result<Vec<u8>, VerifyError> {
    let job = JwsJob::begin(Jws::parse(jws, limits)?, keys, issuer, algorithms)?;
    let verdict = job.check()?;
    job.finish(verdict)
}

impl<'t> JwsJob<'t> {
    /// Finds the keys of `issuer` that `jws` may be signed with.
    ///
    /// # Errors
    /// [`VerifyError`] with the codes `alg_refused`, `kid_unknown` and `key_alg_mismatch`.
    ///
    /// ```
    /// use tokensmith_engine::jose::{Jws, Limits};
    /// use tokensmith_engine::verify::{JwsJob, KeyRing};
    /// let jws = Jws::parse("eyJhbGciOiJFUzI1NiJ9.e30.AQ", &Limits::default()).unwrap();
    /// let error = JwsJob::begin(jws, &KeyRing::default(), "issuer", None).unwrap_err();
    /// assert_eq!(error.code(), "kid_unknown");
    /// ```
    pub fn begin(
        jws: Jws<'t>,
        keys: &KeyRing,
        issuer: &str,
        algorithms: Option<&[Algorithm]>,
    ) -> Result<Self, VerifyError> {
        let algorithm = jws.header.algorithm;
        if algorithms.is_some_and(|list| !list.contains(&algorithm)) {
            return Err(JoseError::AlgorithmRefused(algorithm.name().to_owned()).into());
        }
        let candidates: Vec<&Arc<Key>> = match jws.header.kid.as_deref() {
            Some(kid) => match keys.find(issuer, kid) {
                Some(key) => vec![key],
                // A key published without `kid` cannot contradict the header's.
                None => keys
                    .keys(issuer)
                    .filter(|key| key.jwk().kid().is_none())
                    .collect(),
            },
            None => keys.keys(issuer).collect(),
        };
        if candidates.is_empty() {
            return Err(VerifyError::UnknownKid {
                issuer: issuer.to_owned(),
                kid: jws.header.kid.unwrap_or_default(),
            });
        }
        let keys: Vec<Arc<Key>> = candidates
            .into_iter()
            .filter(|key| key.jwk().allows(algorithm))
            .take(KEYS_TRIED)
            .cloned()
            .collect();
        if keys.is_empty() {
            return Err(VerifyError::KeyAlgorithm(algorithm.name().to_owned()));
        }
        Ok(Self { jws, keys })
    }

    /// The protected header.
    pub fn header(&self) -> &Header {
        &self.jws.header
    }

    /// The checks to make, one for each key, one to eight: the signature is good when any of them
    /// is [`Verdict::Valid`].
    pub fn checks(&self) -> impl Iterator<Item = SignatureCheck<'_>> {
        self.keys.iter().map(|key| SignatureCheck {
            algorithm: self.jws.header.algorithm,
            key: key.as_ref(),
            message: self.jws.signing_input.as_bytes(),
            signature: &self.jws.signature,
        })
    }

    /// Lets the keys' own provider check.
    ///
    /// # Errors
    /// [`VerifyError::KeyUnusable`] when the shell has to.
    pub fn check(&self) -> Result<Verdict, VerifyError> {
        for check in self.checks() {
            match check.run() {
                Some(Verdict::Valid) => return Ok(Verdict::Valid),
                Some(Verdict::Invalid) => {}
                None => return Err(VerifyError::KeyUnusable),
            }
        }
        Ok(Verdict::Invalid)
    }

    /// The payload.
    ///
    /// # Errors
    /// [`VerifyError::Signature`].
    pub fn finish(self, verdict: Verdict) -> Result<Vec<u8>, VerifyError> {
        match verdict {
            Verdict::Valid => Ok(self.jws.payload),
            Verdict::Invalid => Err(VerifyError::Signature),
        }
    }

    /// Detaches the job from the JWS's text, for checks that end later.
    pub fn into_owned(self) -> JwsJob<'static> {
        JwsJob {
            jws: Jws {
                header: self.jws.header,
                signing_input: Cow::Owned(self.jws.signing_input.into_owned()),
                payload: self.jws.payload,
                signature: self.jws.signature,
            },
            keys: self.keys,
        }
    }
}

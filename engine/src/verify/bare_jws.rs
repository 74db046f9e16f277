use super::{KeyRing, Verdict, VerifyError};
use crate::jose::{Algorithm, Jws, Limits};

/// At most this many keys are tried for a JWS without `kid`.
const KEYS_TRIED: usize = 8;

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
    let jws = Jws::parse(jws, limits)?;
    let algorithm = jws.header.algorithm;
    if algorithms.is_some_and(|list| !list.contains(&algorithm)) {
        return Err(crate::jose::JoseError::AlgorithmRefused(algorithm.name().to_owned()).into());
    }
    let candidates: Vec<_> = match jws.header.kid.as_deref() {
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
    let mut allowed = candidates
        .into_iter()
        .filter(|key| key.jwk().allows(algorithm))
        .take(KEYS_TRIED)
        .peekable();
    if allowed.peek().is_none() {
        return Err(VerifyError::KeyAlgorithm(algorithm.name().to_owned()));
    }
    let message = jws.signing_input.as_bytes();
    for key in allowed {
        match key.verify(algorithm, message, &jws.signature) {
            Some(Verdict::Valid) => return Ok(jws.payload),
            Some(Verdict::Invalid) => {}
            None => return Err(VerifyError::KeyUnusable),
        }
    }
    Err(VerifyError::Signature)
}

use super::{ClaimError, Claims};

const FACTORS: u32 = 2;
const SESSION_LIMIT: i64 = 24 * 60 * 60;

/// The claims that TokenSmith's own tokens carry beyond RFC 7519.
pub(super) fn check(claims: &Claims) -> Result<(), ClaimError> {
    let iat = claims.iat().ok_or(ClaimError::Missing("iat"))?;
    claims.nbf().ok_or(ClaimError::Missing("nbf"))?;
    for name in ["auth_level", "session_id"] {
        if claims.string(name).is_none_or(str::is_empty) {
            return Err(ClaimError::Missing(name));
        }
    }
    let factors = claims
        .auth_factors()
        .ok_or(ClaimError::Missing("auth_factors"))?;
    if factors < i64::from(FACTORS) {
        return Err(ClaimError::TooFewFactors(FACTORS));
    }
    for name in ["auth_methods", "auth_events"] {
        if claims.strings(name).next().is_none() {
            return Err(ClaimError::Missing(name));
        }
    }
    let end = claims
        .session_exp()
        .ok_or(ClaimError::Missing("session_exp"))?;
    if end.saturating_sub(iat) > SESSION_LIMIT {
        return Err(ClaimError::SessionTooLong);
    }
    Ok(())
}

use super::ProviderTokenError;
use super::token_kind::{has_mark_of_access_token, is_access_type, mark_of_id_token};
use crate::verify::Verified;

/// Checks that a verified JWT was meant as an access token: by its type (RFC 9068 section 2.1), or
/// by a claim that only access tokens of its provider have. Its audience is the verifier's to
/// check.
///
/// An ID token is good proof of who signed in at its client, and no permission to act: one that
/// can be told apart is refused.
///
/// # Errors
/// [`ProviderTokenError::NotAccessToken`].
pub fn check_access_token(verified: &Verified) -> Result<(), ProviderTokenError> {
    let claims = verified.claims().all();
    if let Some(mark) = mark_of_id_token(claims) {
        return Err(ProviderTokenError::NotAccessToken(mark));
    }
    match claims.get("typ") {
        // Keycloak signs refresh, logout and action tokens with the same keys.
        Some(typ) if typ != "Bearer" => Err(ProviderTokenError::NotAccessToken(
            "its claim `typ` is another",
        )),
        _ if is_access_type(verified.header().typ.as_deref())
            || has_mark_of_access_token(claims) =>
        {
            Ok(())
        }
        _ => Err(ProviderTokenError::NotAccessToken(
            "neither its type nor a claim says that it is one",
        )),
    }
}

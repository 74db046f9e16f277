use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::ProviderTokenError;
use super::token_kind::is_access_type;
use crate::claims::ClaimError;
use crate::jose::{Algorithm, encode_base64url};
use crate::verify::Verified;

/// The member of `events` that makes a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What an ID token is held to beyond its signature, issuer, audience and times.
#[derive(Clone, Copy, Debug)]
pub struct IdTokenRules<'r> {
    /// The client it is issued to.
    pub client_id: &'r str,
    /// The `nonce` of the authentication request, where there was one.
    pub nonce: Option<&'r str>,
    /// The access token that it was issued with, where that is presented too.
    pub access_token: Option<&'r str>,
}

/// Checks a verified token as an ID token (OpenID Connect Core section 3.1.3.7). Its audience is
/// the verifier's to check.
///
/// # Errors
/// [`ProviderTokenError`].
pub fn check_id_token(
    verified: &Verified,
    rules: &IdTokenRules<'_>,
) -> Result<(), ProviderTokenError> {
    let claims = verified.claims();
    if is_access_type(verified.header().typ.as_deref()) {
        return Err(ProviderTokenError::NotIdToken("its type is `at+jwt`"));
    }
    if claims.all().get("typ").is_some_and(|typ| typ != "ID") {
        return Err(ProviderTokenError::NotIdToken("its claim `typ` is another"));
    }
    if is_logout_token(claims.all()) {
        return Err(ProviderTokenError::NotIdToken(
            "its claim `events` is that of a logout token",
        ));
    }
    let several = claims.audiences().nth(1).is_some();
    if claims
        .string("azp")
        .map_or(several, |azp| azp != rules.client_id)
    {
        return Err(ProviderTokenError::AuthorizedParty);
    }
    if rules
        .nonce
        .is_some_and(|nonce| claims.string("nonce") != Some(nonce))
    {
        return Err(ProviderTokenError::Nonce);
    }
    if let Some(access_token) = rules.access_token {
        let expected = access_token_hash(verified.header().algorithm, access_token);
        match claims.string("at_hash") {
            None => return Err(ClaimError::Missing("at_hash").into()),
            Some(hash) if hash != expected => return Err(ProviderTokenError::AccessTokenHash),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether the claims are those of a logout token (OpenID Connect Back-Channel Logout section 2.4):
/// it has the issuer, audience and keys of ID tokens.
fn is_logout_token(claims: &Map<String, Value>) -> bool {
    claims
        .get("events")
        .and_then(|events| events.get(LOGOUT_EVENT))
        .is_some()
}

/// `at_hash` of an access token for an ID token that is signed with `algorithm`: the left half of
/// the digest that the algorithm uses, as base64url (OpenID Connect Core section 3.1.3.6).
///
/// ```
/// use tokensmith_engine::jose::Algorithm;
/// use tokensmith_engine::oidc::access_token_hash;
/// let hash = access_token_hash(Algorithm::RS256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
/// assert_eq!(hash, "77QmUPtjPfzWtF2AnpK9RQ");
/// ```
pub fn access_token_hash(algorithm: Algorithm, access_token: &str) -> String {
    let token = access_token.as_bytes();
    let digest = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => Sha256::digest(token).to_vec(),
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(token).to_vec(),
        // Ed25519 digests with SHA-512 itself (RFC 8032 section 5.1).
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::ES512 | Algorithm::EdDSA => {
            Sha512::digest(token).to_vec()
        }
    };
    let (left, _) = digest.split_at(digest.len() / 2);
    encode_base64url(left)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn logout_tokens_are_told_apart() {
        for (claims, expected) in [
            (json!({"events": {LOGOUT_EVENT: {}}}), true),
            (json!({"events": {LOGOUT_EVENT: null, "other": {}}}), true),
            (json!({"events": {"other": {}}}), false),
            (json!({"events": [LOGOUT_EVENT]}), false),
            (json!({"events": "login"}), false),
            (json!({"sub": "alice"}), false),
        ] {
            let found = is_logout_token(claims.as_object().unwrap());
            assert_eq!(found, expected, "{claims}");
        }
    }
}

use super::ClientAssertionError;
use crate::claims::{ClaimError, ClaimRules, Claims, DEFAULT_LEEWAY};
use crate::jose::{Jws, Limits};
use crate::verify::{KeyRing, VerifyError, verify_jws};

/// `client_assertion_type` (RFC 7523 section 2.2).
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The furthest from now that `exp` and `iat` may be, in seconds.
const WINDOW: i64 = 600;
/// The longest `jti`, in characters.
const JTI_LENGTH: usize = 256;

/// What an assertion says with which a client authenticates, `private_key_jwt` (RFC 7523 section
/// 3). It was verified; that it is used once only is for the service to see to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAssertion {
    /// The client.
    pub client_id: String,
    /// `jti`.
    pub jti: String,
    /// From when on the assertion is refused, leeway included, in Unix seconds: until then `jti`
    /// has to be remembered with the client.
    pub ends: i64,
}

/// An assertion that is not verified: it says only whose keys it has to be verified with.
#[derive(Clone, Debug)]
#[must_use = "a client is authenticated only by `verify`"]
pub struct UnverifiedAssertion<'t> {
    text: &'t str,
    client_id: String,
    limits: Limits,
}

impl ClientAssertion {
    /// Reads which client an assertion claims to be of.
    ///
    /// # Errors
    /// [`ClientAssertionError`].
    pub fn begin<'t>(
        assertion: &'t str,
        limits: &Limits,
    ) -> Result<UnverifiedAssertion<'t>, ClientAssertionError> {
        let jws = Jws::parse(assertion, limits).map_err(VerifyError::from)?;
        check_type(jws.header.typ.as_deref())?;
        let claims = Claims::parse(jws.payload, limits)?;
        let client_id = client(&claims)?.to_owned();
        Ok(UnverifiedAssertion {
            text: assertion,
            client_id,
            limits: limits.clone(),
        })
    }
}

impl UnverifiedAssertion<'_> {
    /// The client that it claims to be of. Nobody is authenticated yet.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Verifies it with the client's keys, which `keys` has under the client's id as issuer, at
    /// `now` (Unix seconds). `audiences` are the names of this service, one of which `aud` has to
    /// have: its issuer URL and the URL of its token endpoint.
    ///
    /// # Errors
    /// [`ClientAssertionError`].
    pub fn verify(
        self,
        keys: &KeyRing,
        audiences: &[&str],
        now: i64,
    ) -> Result<ClientAssertion, ClientAssertionError> {
        let payload = verify_jws(self.text, keys, &self.client_id, None, &self.limits)?;
        let claims = Claims::parse(payload, &self.limits)?;
        let rules = ClaimRules::generic(self.client_id.as_str(), audiences.iter().copied());
        rules.check(&claims, now)?;
        client(&claims)?;
        let exp = claims.exp().ok_or(ClaimError::Missing("exp"))?;
        let widest = WINDOW.saturating_add(DEFAULT_LEEWAY);
        if exp.saturating_sub(now) > widest {
            return Err(ClientAssertionError::Window("exp", WINDOW));
        }
        let is_old = |iat: i64| now.saturating_sub(iat) > widest;
        if claims.iat().is_some_and(is_old) {
            return Err(ClientAssertionError::Window("iat", WINDOW));
        }
        let jti = claims
            .string("jti")
            .filter(|jti| (1..=JTI_LENGTH).contains(&jti.chars().count()))
            .ok_or(ClientAssertionError::Jti(JTI_LENGTH))?
            .to_owned();
        Ok(ClientAssertion {
            client_id: self.client_id,
            jti,
            ends: exp.saturating_add(DEFAULT_LEEWAY),
        })
    }
}

/// `iss` and `sub`, which are the same.
fn client(claims: &Claims) -> Result<&str, ClientAssertionError> {
    claims
        .iss()
        .filter(|iss| !iss.trim().is_empty() && claims.sub() == Some(*iss))
        .ok_or(ClientAssertionError::Client)
}

/// The client's keys may sign tokens of other kinds, such as proofs (RFC 8725 section 3.11).
fn check_type(typ: Option<&str>) -> Result<(), ClientAssertionError> {
    let Some(typ) = typ else {
        return Ok(());
    };
    let lower = typ.to_ascii_lowercase();
    let name = lower.strip_prefix("application/").unwrap_or(&lower);
    if matches!(name, "jwt" | "client-authentication+jwt") {
        Ok(())
    } else {
        Err(ClientAssertionError::Type(typ.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests;

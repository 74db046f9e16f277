use super::{ClaimError, Claims, Requirements, tokensmith};
use crate::principal::PrincipalMapping;

/// Leeway for clock differences when none is configured, in seconds.
pub const DEFAULT_LEEWAY: i64 = 60;
/// The largest leeway that may be configured, in seconds.
pub const MAX_LEEWAY: i64 = 600;

/// Which claims a token must have beyond those of RFC 7519.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Tokens that TokenSmith issues: authentication and session claims are required.
    #[default]
    TokenSmith,
    /// Tokens of any other issuer, RFC 9068 access tokens and OIDC ID tokens among them.
    Generic,
}

/// What the claims of one issuer's tokens are held to.
///
/// ```
/// use tokensmith_engine::claims::{ClaimRules, Profile};
/// let rules = ClaimRules::tokensmith("https://issuer.example", ["api"]);
/// assert_eq!((rules.profile, rules.leeway), (Profile::TokenSmith, 60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// The exact `iss`.
    pub issuer: String,
    /// `aud` must have one of these.
    pub audiences: Vec<String>,
    /// The claims required.
    pub profile: Profile,
    /// Seconds of clock difference allowed for `exp`, `nbf`, `iat` and `session_exp`, at most
    /// [`MAX_LEEWAY`].
    pub leeway: i64,
    /// What is required beyond the profile.
    pub requirements: Requirements,
    /// How the claims become a principal.
    pub principal: PrincipalMapping,
}

impl ClaimRules {
    /// Rules for tokens that TokenSmith issues.
    pub fn tokensmith<A: Into<String>>(
        issuer: impl Into<String>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: audiences.into_iter().map(Into::into).collect(),
            profile: Profile::TokenSmith,
            leeway: DEFAULT_LEEWAY,
            requirements: Requirements::default(),
            principal: PrincipalMapping::default(),
        }
    }

    /// Rules for tokens of any other issuer.
    pub fn generic<A: Into<String>>(
        issuer: impl Into<String>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            profile: Profile::Generic,
            ..Self::tokensmith(issuer, audiences)
        }
    }

    /// Checks `claims` at `now` (Unix seconds). Called after the signature is verified.
    ///
    /// # Errors
    /// The first [`ClaimError`] found.
    pub fn check(&self, claims: &Claims, now: i64) -> Result<(), ClaimError> {
        let leeway = self.leeway.clamp(0, MAX_LEEWAY);
        if claims.iss() != Some(self.issuer.as_str()) {
            return Err(ClaimError::Missing("iss"));
        }
        if claims.sub().is_none_or(|sub| sub.trim().is_empty()) {
            return Err(ClaimError::Missing("sub"));
        }
        if claims.audiences().next().is_none() {
            return Err(ClaimError::Missing("aud"));
        }
        if !claims
            .audiences()
            .any(|aud| self.audiences.iter().any(|own| own == aud))
        {
            return Err(ClaimError::Audience);
        }
        let exp = claims.exp().ok_or(ClaimError::Missing("exp"))?;
        if now >= exp.saturating_add(leeway) {
            return Err(ClaimError::Expired);
        }
        if claims
            .nbf()
            .is_some_and(|nbf| now.saturating_add(leeway) < nbf)
        {
            return Err(ClaimError::NotYetValid);
        }
        if claims
            .iat()
            .is_some_and(|iat| now.saturating_add(leeway) < iat)
        {
            return Err(ClaimError::IssuedInFuture);
        }
        if claims
            .session_exp()
            .is_some_and(|end| now >= end.saturating_add(leeway))
        {
            return Err(ClaimError::SessionExpired);
        }
        if let Some(token_use) = claims.string("token_use").filter(|text| *text != "access") {
            return Err(ClaimError::TokenUse(token_use.chars().take(64).collect()));
        }
        match self.profile {
            Profile::TokenSmith => tokensmith::check(claims)?,
            Profile::Generic => {}
        }
        self.requirements.check(claims)
    }

    /// The first second at which `claims` are no longer accepted.
    pub(crate) fn valid_until(&self, claims: &Claims) -> i64 {
        let leeway = self.leeway.clamp(0, MAX_LEEWAY);
        let exp = claims.exp().unwrap_or(i64::MIN);
        claims
            .session_exp()
            .map_or(exp, |end| end.min(exp))
            .saturating_add(leeway)
    }
}

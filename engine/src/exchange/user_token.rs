use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::issuance::object;
use super::{ExchangeError, GroupGrants, Issuance, MAX_SESSION_SECONDS, narrow_scopes};
use crate::claims::Claims;
use crate::verify::Verified;

/// How identity tokens of one provider become access tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTokenRules {
    /// What membership in a group grants.
    pub groups: GroupGrants,
    /// The claim that becomes `sub`; `preferred_username`, else `sub`, when none is set.
    pub subject_claim: Option<String>,
    /// For claims the provider does not send.
    pub defaults: ClaimDefaults,
    /// The audiences tokens are issued for.
    pub audiences: Vec<String>,
}

/// Values for claims that an identity provider does not send. Without a value here, and without
/// the claim, there is no token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimDefaults {
    /// `auth_level`, else the token's `acr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_level: Option<String>,
    /// `auth_factors`, at least 2 to be of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_factors: Option<u32>,
    /// `auth_methods`, else the token's `amr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_methods: Option<Vec<String>>,
    /// `auth_events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_events: Option<Vec<String>>,
    /// Seconds a session lasts from now when there is no `session_exp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
}

/// What the caller asked for beside presenting its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTokenRequest {
    /// Only these of the granted scopes.
    pub scopes: Option<Vec<String>>,
    /// Only this of the audiences.
    pub target: Option<String>,
}

/// The claims of a user's access token, made from a verified identity token.
///
/// Groups become scopes and roles by [`GroupGrants`]; a request narrows and never adds. The token
/// ends with the identity token, the session or [`Issuance::lifetime`], whichever is first.
///
/// # Errors
/// [`ExchangeError`].
pub fn user_claims(
    verified: &Verified,
    rules: &UserTokenRules,
    request: &UserTokenRequest,
    issuance: &Issuance<'_>,
) -> Result<Map<String, Value>, ExchangeError> {
    let upstream = verified.claims();
    let now = issuance.now;
    let session_exp = upstream
        .session_exp()
        .or_else(|| {
            let seconds = rules.defaults.session_seconds?;
            Some(now.saturating_add(seconds.into()))
        })
        .ok_or_else(|| missing("session_exp"))?
        .min(now.saturating_add(MAX_SESSION_SECONDS));
    let exp = upstream
        .exp()
        .ok_or_else(|| missing("exp"))?
        .min(now.saturating_add(issuance.lifetime))
        .min(session_exp);
    if exp <= now {
        return Err(ExchangeError::SessionEnded);
    }
    let grants = rules.groups.grants(upstream.strings("groups"));
    let scopes = match &request.scopes {
        None => grants.scopes,
        Some(requested) => {
            narrow_scopes(&grants.scopes, requested).map_err(ExchangeError::Scope)?
        }
    };
    let mut claims = issuance.base(subject(upstream, rules)?, &audience(rules, request)?, exp);
    claims.extend(object(json!({
        "principal_type": "user",
        "session_id": upstream
            .string("session_id")
            .or_else(|| upstream.string("sid"))
            .unwrap_or(issuance.jti),
        "session_exp": session_exp,
        "roles": grants.roles,
    })));
    claims.extend(authentication(upstream, &rules.defaults)?);
    let groups: Vec<&str> = upstream.strings("groups").collect();
    for (name, values) in [("groups", json!(groups)), ("scope", json!(scopes))] {
        if values.as_array().is_some_and(|values| !values.is_empty()) {
            claims.insert(name.to_owned(), values);
        }
    }
    for name in ["name", "email", "email_verified", "preferred_username"] {
        if let Some(value) = upstream.all().get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    Ok(claims)
}

fn subject<'c>(upstream: &'c Claims, rules: &UserTokenRules) -> Result<&'c str, ExchangeError> {
    let named = |name: &str| upstream.string(name).filter(|text| !text.trim().is_empty());
    match &rules.subject_claim {
        Some(name) => named(name).ok_or_else(|| missing(name)),
        None => named("preferred_username")
            .or_else(|| named("sub"))
            .ok_or_else(|| missing("sub")),
    }
}

fn audience(
    rules: &UserTokenRules,
    request: &UserTokenRequest,
) -> Result<Vec<String>, ExchangeError> {
    match &request.target {
        None => Ok(rules.audiences.clone()),
        Some(target) if rules.audiences.contains(target) => Ok(vec![target.clone()]),
        Some(target) => Err(ExchangeError::Target(target.chars().take(128).collect())),
    }
}

fn missing(claim: &str) -> ExchangeError {
    ExchangeError::Claim(claim.to_owned())
}

/// How the user authenticated: the token's own claims, their OIDC equivalents, the defaults.
fn authentication(
    upstream: &Claims,
    defaults: &ClaimDefaults,
) -> Result<Map<String, Value>, ExchangeError> {
    let level = upstream
        .string("auth_level")
        .or(defaults.auth_level.as_deref())
        .or_else(|| upstream.string("acr"))
        .filter(|level| !level.is_empty())
        .ok_or_else(|| missing("auth_level"))?;
    let factors = upstream
        .auth_factors()
        .and_then(|factors| u64::try_from(factors).ok())
        .or(defaults.auth_factors.map(u64::from))
        .ok_or_else(|| missing("auth_factors"))?;
    if factors < 2 {
        return Err(ExchangeError::Factors(factors));
    }
    let list = |name: &'static str, alternative: &str, default: &Option<Vec<String>>| {
        let own: Vec<String> = upstream.strings(name).map(str::to_owned).collect();
        if !own.is_empty() {
            return Ok(own);
        }
        let other: Vec<String> = upstream.strings(alternative).map(str::to_owned).collect();
        let values = default.clone().unwrap_or(other);
        if values.is_empty() {
            return Err(missing(name));
        }
        Ok(values)
    };
    Ok(object(json!({
        "auth_level": level,
        "auth_factors": factors,
        "auth_methods": list("auth_methods", "amr", &defaults.auth_methods)?,
        "auth_events": list("auth_events", "", &defaults.auth_events)?,
    })))
}

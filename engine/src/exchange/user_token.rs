use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::claim_mapping::ClaimMapping;
use super::claim_presets::Output;
use super::issuance::object;
use super::{ExchangeError, GroupGrants, Issuance, MAX_SESSION_SECONDS, narrow_scopes};
use crate::claims::Claims;

/// How identity tokens of one provider become access tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTokenRules {
    /// What membership in a group grants.
    pub groups: GroupGrants,
    /// The one claim that becomes `sub`, instead of those of the mapping.
    pub subject_claim: Option<String>,
    /// Which claims of the provider become which of TokenSmith's.
    pub mapping: ClaimMapping,
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
    /// `auth_level`; without, and without a mapping, the token's `acr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_level: Option<String>,
    /// `auth_factors`, at least 2 to be of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_factors: Option<u32>,
    /// `auth_methods`; without, and without a mapping, the token's `amr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_methods: Option<Vec<String>>,
    /// `auth_events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_events: Option<Vec<String>>,
    /// Seconds a session lasts from now when nothing says when it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
}

/// What the caller asked for beside presenting its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTokenRequest {
    /// Only these of the granted scopes.
    pub scopes: Option<Vec<String>>,
    /// Only these of the audiences; all of them when it is empty.
    pub targets: Vec<String>,
}

/// The claims of a user's access token, made from `upstream`, the claims of a token that was
/// verified or introspected.
///
/// Groups become scopes and roles by [`GroupGrants`]; a request narrows and never adds. The token
/// ends with the identity token, the session or [`Issuance::lifetime`], whichever is first.
///
/// # Errors
/// [`ExchangeError`].
pub fn user_claims(
    upstream: &Claims,
    rules: &UserTokenRules,
    request: &UserTokenRequest,
    issuance: &Issuance<'_>,
) -> Result<Map<String, Value>, ExchangeError> {
    made_claims(upstream, None, &[], rules, request, issuance)
}

/// As [`user_claims`], with `groups` in the place of those that the mapping finds, and `roles`
/// beside those that groups grant.
pub(super) fn made_claims(
    upstream: &Claims,
    groups: Option<&[String]>,
    roles: &[String],
    rules: &UserTokenRules,
    request: &UserTokenRequest,
    issuance: &Issuance<'_>,
) -> Result<Map<String, Value>, ExchangeError> {
    let now = issuance.now;
    let mapping = &rules.mapping;
    let session_exp = mapping
        .time(Output::SessionExp, upstream, now)
        .or_else(|| {
            let seconds = rules.defaults.session_seconds?;
            Some(now.saturating_add(seconds.into()))
        })
        .ok_or_else(|| missing(Output::SessionExp))?
        .min(now.saturating_add(MAX_SESSION_SECONDS));
    let exp = upstream
        .exp()
        .ok_or_else(|| ExchangeError::Claim("exp".to_owned()))?
        .min(now.saturating_add(issuance.lifetime))
        .min(session_exp);
    if exp <= now {
        return Err(ExchangeError::SessionEnded);
    }
    let groups = match groups {
        Some(groups) => groups.to_vec(),
        None => mapping.texts(Output::Groups, upstream),
    };
    let mut grants = rules.groups.grants(groups.iter().map(String::as_str));
    for role in roles {
        if !grants.roles.contains(role) {
            grants.roles.push(role.clone());
        }
    }
    let scopes = match &request.scopes {
        None => grants.scopes,
        Some(requested) => {
            narrow_scopes(&grants.scopes, requested).map_err(ExchangeError::Scope)?
        }
    };
    let audience = audience(rules, request)?;
    let mut claims = issuance.base(&subject(upstream, rules)?, &audience, exp);
    claims.extend(object(json!({
        "principal_type": "user",
        "session_id": mapping
            .text(Output::SessionId, upstream)
            .unwrap_or_else(|| issuance.jti.to_owned()),
        "session_exp": session_exp,
        "roles": grants.roles,
    })));
    claims.extend(authentication(upstream, rules)?);
    for (name, values) in [("groups", json!(groups)), ("scope", json!(scopes))] {
        if values.as_array().is_some_and(|values| !values.is_empty()) {
            claims.insert(name.to_owned(), values);
        }
    }
    for (name, output) in [("name", Output::Name), ("email", Output::Email)] {
        if let Some(text) = mapping.text(output, upstream) {
            claims.insert(name.to_owned(), text.into());
        }
    }
    for name in ["email_verified", "preferred_username"] {
        if let Some(value) = upstream.all().get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    Ok(claims)
}

fn subject(upstream: &Claims, rules: &UserTokenRules) -> Result<String, ExchangeError> {
    match &rules.subject_claim {
        Some(name) => upstream
            .string(name)
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
            .ok_or_else(|| ExchangeError::Claim(name.clone())),
        None => rules
            .mapping
            .text(Output::Subject, upstream)
            .ok_or_else(|| missing(Output::Subject)),
    }
}

fn audience(
    rules: &UserTokenRules,
    request: &UserTokenRequest,
) -> Result<Vec<String>, ExchangeError> {
    let unknown = |target: &&String| !rules.audiences.contains(*target);
    if let Some(target) = request.targets.iter().find(unknown) {
        return Err(ExchangeError::Target(target.chars().take(128).collect()));
    }
    if request.targets.is_empty() {
        return Ok(rules.audiences.clone());
    }
    let asked = |audience: &&String| request.targets.contains(*audience);
    Ok(rules.audiences.iter().filter(asked).cloned().collect())
}

fn missing(output: Output) -> ExchangeError {
    ExchangeError::Claim(output.name().to_owned())
}

/// How the user authenticated: the mapped claims, then the defaults, then what OpenID Connect
/// calls the same where nothing was mapped.
fn authentication(
    upstream: &Claims,
    rules: &UserTokenRules,
) -> Result<Map<String, Value>, ExchangeError> {
    let UserTokenRules {
        mapping, defaults, ..
    } = rules;
    let standard = |output: Output, name: &str| -> Vec<String> {
        if mapping.is_plain(output) {
            let texts = upstream.strings(name).filter(|text| !text.is_empty());
            texts.map(str::to_owned).collect()
        } else {
            Vec::new()
        }
    };
    let level = mapping
        .text(Output::AuthLevel, upstream)
        .or_else(|| defaults.auth_level.clone())
        .or_else(|| standard(Output::AuthLevel, "acr").into_iter().next())
        .filter(|level| !level.is_empty())
        .ok_or_else(|| missing(Output::AuthLevel))?;
    let factors = mapping
        .number(Output::AuthFactors, upstream)
        .or(defaults.auth_factors.map(u64::from))
        .ok_or_else(|| missing(Output::AuthFactors))?;
    if factors < 2 {
        return Err(ExchangeError::Factors(factors));
    }
    let list = |output: Output, default: &Option<Vec<String>>, name: Option<&str>| {
        let mut values = mapping.texts(output, upstream);
        if values.is_empty() {
            values = match (default, name) {
                (Some(default), _) => default.clone(),
                (None, Some(name)) => standard(output, name),
                (None, None) => Vec::new(),
            };
        }
        if values.is_empty() {
            return Err(missing(output));
        }
        Ok(values)
    };
    Ok(object(json!({
        "auth_level": level,
        "auth_factors": factors,
        "auth_methods": list(Output::AuthMethods, &defaults.auth_methods, Some("amr"))?,
        "auth_events": list(Output::AuthEvents, &defaults.auth_events, None)?,
    })))
}

use serde_json::{Map, Value, json};

use super::issuance::{confirm, object};
use super::{
    ExchangeError, ExchangeGrant, ExchangeMode, ExchangeParties, Issuance, MAX_SESSION_SECONDS,
};
use crate::claims::Claims;
use crate::principal::principal_type;

/// The most actors a token may name, one in another's `act`.
pub const MAX_ACTORS: usize = 8;

/// Claims that are kept as they are where the subject's token has them.
const KEPT: [&str; 5] = [
    "name",
    "email",
    "email_verified",
    "preferred_username",
    // Whatever an emergency token becomes stays recognizable.
    "break_glass_reason",
];

/// The claims of an issued token, by what [`super::ExchangePolicy::decide`] granted.
///
/// The token is about the subject, whose authentication and session it keeps. It ends with the
/// subject's token, its session, the actor's token or [`Issuance::lifetime`], whichever is first,
/// or after [`ExchangeGrant::max_lifetime`].
///
/// - `act` (RFC 8693 section 4.1): with [`ExchangeMode::Delegate`] the one who acts, and in it
///   the `act` of the subject's token; with [`ExchangeMode::Impersonate`] that `act` as it was.
/// - `may_act` (section 4.4): where the subject's token has it, it has to name the one who acts,
///   in either mode. Delegation uses it up: from then on `act` says who acted. Impersonation
///   keeps it, or the issued token could be exchanged by anybody.
/// - `client_id` (section 4.3): the client that authenticated, if one did.
/// - `cnf`: never that of the subject's token. `confirmation` is the thumbprint (`x5t#S256`) of
///   the certificate that the issued token is to be bound to.
///
/// # Errors
/// [`ExchangeError`].
pub fn exchanged_claims(
    parties: &ExchangeParties<'_>,
    grant: &ExchangeGrant,
    confirmation: Option<&str>,
    issuance: &Issuance<'_>,
) -> Result<Map<String, Value>, ExchangeError> {
    parties.check()?;
    check_may_act(parties)?;
    let act = actors(parties, grant.mode)?;
    let subject = parties.subject.claims;
    let session_exp = subject
        .session_exp()
        .ok_or(missing("session_exp"))?
        .min(issuance.now.saturating_add(MAX_SESSION_SECONDS));
    let exp = end(parties, grant, issuance)?.min(session_exp);
    if exp <= issuance.now {
        return Err(ExchangeError::SessionEnded);
    }
    let mut claims = issuance.base(text(subject, "sub")?, &grant.audience, exp);
    claims.extend(object(json!({
        "principal_type": principal_type(subject).name(),
        "session_exp": session_exp,
        "roles": grant.roles,
    })));
    claims.extend(authentication(subject)?);
    let groups: Vec<&str> = subject.strings("groups").filter(|_| grant.groups).collect();
    for (name, values) in [("groups", json!(groups)), ("scope", json!(grant.scopes))] {
        if values.as_array().is_some_and(|values| !values.is_empty()) {
            claims.insert(name.to_owned(), values);
        }
    }
    for name in KEPT {
        if let Some(value) = subject.all().get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(act) = act {
        claims.insert("act".to_owned(), act);
    }
    if grant.mode == ExchangeMode::Impersonate
        && let Some(may_act) = subject.all().get("may_act")
    {
        claims.insert("may_act".to_owned(), may_act.clone());
    }
    if let Some(client) = parties.client {
        claims.insert("client_id".to_owned(), client.into());
    }
    confirm(&mut claims, confirmation);
    Ok(claims)
}

/// When the token ends at the latest, the session aside.
fn end(
    parties: &ExchangeParties<'_>,
    grant: &ExchangeGrant,
    issuance: &Issuance<'_>,
) -> Result<i64, ExchangeError> {
    let mut end = parties.subject.claims.exp().ok_or(missing("exp"))?;
    if let Some(actor) = parties.actor {
        let own = actor.claims.exp().ok_or(ExchangeError::TokenClaim {
            token: "actor",
            claim: "exp",
        })?;
        end = end.min(own);
    }
    let mut lifetime = issuance.lifetime;
    if let Some(most) = grant.max_lifetime {
        lifetime = lifetime.min(most.into());
    }
    Ok(end.min(issuance.now.saturating_add(lifetime)))
}

/// How and in which session the subject authenticated.
fn authentication(subject: &Claims) -> Result<Map<String, Value>, ExchangeError> {
    let factors = subject
        .auth_factors()
        .and_then(|factors| u64::try_from(factors).ok())
        .ok_or(missing("auth_factors"))?;
    if factors < 2 {
        return Err(ExchangeError::Factors(factors));
    }
    Ok(object(json!({
        "auth_level": text(subject, "auth_level")?,
        "auth_factors": factors,
        "auth_methods": texts(subject, "auth_methods")?,
        "auth_events": texts(subject, "auth_events")?,
        "session_id": text(subject, "session_id")?,
    })))
}

fn text<'c>(subject: &'c Claims, name: &'static str) -> Result<&'c str, ExchangeError> {
    subject
        .string(name)
        .filter(|text| !text.trim().is_empty())
        .ok_or(missing(name))
}

fn texts<'c>(subject: &'c Claims, name: &'static str) -> Result<Vec<&'c str>, ExchangeError> {
    let texts: Vec<&str> = subject.strings(name).collect();
    if texts.is_empty() {
        return Err(missing(name));
    }
    Ok(texts)
}

fn missing(claim: &'static str) -> ExchangeError {
    ExchangeError::TokenClaim {
        token: "subject",
        claim,
    }
}

/// The members of `may_act` together name one party: each has to be the actor's own, and without
/// `iss` they are names of the subject's issuer.
fn check_may_act(parties: &ExchangeParties<'_>) -> Result<(), ExchangeError> {
    let subject = parties.subject.claims;
    let Some(may_act) = subject.all().get("may_act") else {
        return Ok(());
    };
    let named = may_act.as_object().ok_or(ExchangeError::MayAct)?;
    let acting = parties.acting()?.ok_or(ExchangeError::MayAct)?;
    let own = |name: &str| {
        let claim = || parties.actor.and_then(|actor| actor.claims.all().get(name));
        acting.get(name).or_else(claim)
    };
    let names_someone = named.contains_key("sub") || named.contains_key("client_id");
    let same_issuer =
        named.contains_key("iss") || own("iss").and_then(Value::as_str) == subject.iss();
    let all_own = named
        .iter()
        .all(|(name, value)| own(name).is_some_and(|own| own == value));
    if names_someone && same_issuer && all_own {
        Ok(())
    } else {
        Err(ExchangeError::MayAct)
    }
}

/// `act` of the issued token.
fn actors(
    parties: &ExchangeParties<'_>,
    mode: ExchangeMode,
) -> Result<Option<Value>, ExchangeError> {
    let earlier = parties.subject.claims.all().get("act");
    let depth = earlier.map_or(Ok(0), depth)?;
    let acting = match mode {
        ExchangeMode::Impersonate => None,
        ExchangeMode::Delegate => Some(parties.acting()?.ok_or(ExchangeError::ActorMissing)?),
    };
    if depth.saturating_add(usize::from(acting.is_some())) > MAX_ACTORS {
        return Err(ExchangeError::ActTooDeep(MAX_ACTORS));
    }
    let Some(mut acting) = acting else {
        return Ok(earlier.cloned());
    };
    if let Some(earlier) = earlier {
        acting.insert("act".to_owned(), earlier.clone());
    }
    Ok(Some(Value::Object(acting)))
}

/// How many actors `act` names.
fn depth(act: &Value) -> Result<usize, ExchangeError> {
    let mut depth: usize = 0;
    let mut next = Some(act);
    while let Some(value) = next {
        let members = value.as_object().ok_or(ExchangeError::ActMalformed)?;
        depth = depth.saturating_add(1);
        next = members.get("act");
    }
    Ok(depth)
}

#[cfg(test)]
mod tests;

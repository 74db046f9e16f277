use super::rule::{ANY_CLIENT, PUBLIC};
use super::{
    ExchangeError, ExchangeMode, ExchangeParties, ExchangePolicyError, ExchangeRule,
    PrincipalCondition, RoleCeiling, SubjectConditions, SubjectIssuer, narrow_scopes,
};
use crate::claims::Claims;
use crate::principal::{PrincipalType, principal_type};

/// The rules by which tokens are exchanged, in their order. Without rules nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangePolicy {
    rules: Vec<ExchangeRule>,
}

/// A request for exchange (RFC 8693 section 2.1), its tokens verified.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeRequest<'a> {
    /// Who takes part.
    pub parties: ExchangeParties<'a>,
    /// `audience` and `resource`, each as often as it was sent.
    pub targets: &'a [String],
    /// `scope`; all that is possible without.
    pub scopes: Option<&'a [String]>,
}

/// What the rules let the issued token have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeGrant {
    /// The names of the rules that were used, for logs.
    pub rules: Vec<String>,
    /// Whether the token says who acts.
    pub mode: ExchangeMode,
    /// `aud`.
    pub audience: Vec<String>,
    /// `scope`: scopes of the subject's token, never others.
    pub scopes: Vec<String>,
    /// `roles`: roles of the subject's token, never others.
    pub roles: Vec<String>,
    /// Whether the token keeps `groups`: a rule with a list of roles lets none through beside it.
    pub groups: bool,
    /// The longest life of the token in seconds.
    pub max_lifetime: Option<u32>,
}

impl ExchangePolicy {
    /// Takes rules that make sense.
    ///
    /// # Errors
    /// The first [`ExchangePolicyError`] found.
    pub fn new(rules: Vec<ExchangeRule>) -> Result<Self, ExchangePolicyError> {
        for (index, rule) in rules.iter().enumerate() {
            if rule.name.trim().is_empty() {
                return Err(ExchangePolicyError::Name(index.saturating_add(1)));
            }
            if rules
                .iter()
                .take(index)
                .any(|other| other.name == rule.name)
            {
                return Err(ExchangePolicyError::DuplicateRule(rule.name.clone()));
            }
            check_rule(rule)?;
        }
        Ok(Self { rules })
    }

    /// The rules.
    pub fn rules(&self) -> &[ExchangeRule] {
        &self.rules
    }

    /// Whether a rule is for subjects' tokens of another issuer: then all of those go by rules,
    /// and a rule whose URL is misspelled lets nobody in.
    pub fn is_for_other_issuers(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.subject.issuer != SubjectIssuer::Own)
    }

    /// What an exchange may bring.
    ///
    /// For each target the first rule counts that fits the client, the subject and the target;
    /// without a target the first that fits client and subject, if it has one audience only. The
    /// token may have what all of these rules allow.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn decide(&self, request: &ExchangeRequest<'_>) -> Result<ExchangeGrant, ExchangeError> {
        let parties = &request.parties;
        parties.check()?;
        let chosen = choose(&self.fitting(parties)?, request.targets)?;
        let Some((_, first)) = chosen.first() else {
            return Err(ExchangeError::TargetMissing);
        };
        let claims = parties.subject.claims;
        let mut grant = ExchangeGrant {
            rules: Vec::new(),
            mode: first.mode,
            audience: Vec::new(),
            scopes: distinct(claims.scopes()),
            roles: distinct(claims.strings("roles")),
            groups: true,
            max_lifetime: None,
        };
        for (target, rule) in &chosen {
            if rule.mode != grant.mode {
                return Err(ExchangeError::ModesDiffer(shortened(target)));
            }
            if !grant.audience.contains(target) {
                grant.audience.push(target.clone());
            }
            if !grant.rules.contains(&rule.name) {
                grant.rules.push(rule.name.clone());
            }
            grant.scopes.retain(|scope| rule.scopes.contains(scope));
            grant.roles.retain(|role| rule.roles.allows(role));
            grant.groups &= matches!(rule.roles, RoleCeiling::Keep(_));
            if let Some(most) = rule.max_lifetime {
                grant.max_lifetime = Some(grant.max_lifetime.map_or(most, |own| own.min(most)));
            }
        }
        if let Some(requested) = request.scopes {
            grant.scopes = narrow_scopes(&grant.scopes, requested)
                .map_err(|scope| ExchangeError::Scope(shortened(&scope)))?;
        }
        Ok(grant)
    }

    /// The rules that are for the client and the subject; at least one.
    fn fitting(&self, parties: &ExchangeParties<'_>) -> Result<Vec<&ExchangeRule>, ExchangeError> {
        let asker = parties.asker();
        let mut rules: Vec<&ExchangeRule> = self
            .rules
            .iter()
            .filter(|rule| rule.clients.iter().any(|client| lets_ask(client, asker)))
            .collect();
        if rules.is_empty() {
            return Err(match asker {
                None => ExchangeError::ClientMissing,
                Some(name) => ExchangeError::ClientRefused(shortened(name)),
            });
        }
        let claims = parties.subject.claims;
        rules.retain(|rule| holds(&rule.subject, claims, parties.issuer));
        if rules.is_empty() {
            return Err(ExchangeError::SubjectRefused);
        }
        Ok(rules)
    }
}

/// The targets, each with its rule.
fn choose<'r>(
    rules: &[&'r ExchangeRule],
    targets: &[String],
) -> Result<Vec<(String, &'r ExchangeRule)>, ExchangeError> {
    if targets.is_empty() {
        let only = rules
            .first()
            .and_then(|rule| match rule.audiences.as_slice() {
                [audience] => Some((audience.clone(), *rule)),
                _ => None,
            });
        return only
            .map(|chosen| vec![chosen])
            .ok_or(ExchangeError::TargetMissing);
    }
    targets
        .iter()
        .map(|target| {
            rules
                .iter()
                .find(|rule| rule.audiences.contains(target))
                .map(|rule| (target.clone(), *rule))
                .ok_or_else(|| ExchangeError::Target(shortened(target)))
        })
        .collect()
}

fn lets_ask(client: &str, asker: Option<&str>) -> bool {
    match client {
        PUBLIC => true,
        ANY_CLIENT => asker.is_some(),
        name => asker == Some(name),
    }
}

fn holds(conditions: &SubjectConditions, claims: &Claims, own_issuer: &str) -> bool {
    let issuer = match &conditions.issuer {
        SubjectIssuer::Own => own_issuer,
        SubjectIssuer::Url(url) => url.as_str(),
    };
    let principal = match conditions.principal {
        PrincipalCondition::Any => true,
        PrincipalCondition::User => principal_type(claims) == PrincipalType::User,
        PrincipalCondition::Service => principal_type(claims) == PrincipalType::Service,
    };
    principal
        && claims.iss() == Some(issuer)
        && one_of(&conditions.subjects, claims.sub().into_iter())
        && one_of(&conditions.groups, claims.strings("groups"))
        && one_of(&conditions.roles, claims.strings("roles"))
}

fn one_of<'v>(list: &[String], mut values: impl Iterator<Item = &'v str>) -> bool {
    list.is_empty() || values.any(|value| list.iter().any(|own| own == value))
}

fn distinct<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for value in values {
        if !kept.iter().any(|other| other == value) {
            kept.push(value.to_owned());
        }
    }
    kept
}

fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}

fn check_rule(rule: &ExchangeRule) -> Result<(), ExchangePolicyError> {
    let roles = match &rule.roles {
        RoleCeiling::Keep(_) => &[] as &[String],
        RoleCeiling::Only(roles) => roles.as_slice(),
    };
    for (field, values, needed) in [
        ("clients", rule.clients.as_slice(), true),
        ("audiences", rule.audiences.as_slice(), true),
        ("scopes", rule.scopes.as_slice(), false),
        ("roles", roles, false),
        ("subject.subjects", rule.subject.subjects.as_slice(), false),
        ("subject.groups", rule.subject.groups.as_slice(), false),
        ("subject.roles", rule.subject.roles.as_slice(), false),
    ] {
        if needed && values.is_empty() {
            return Err(ExchangePolicyError::Empty {
                rule: rule.name.clone(),
                field,
            });
        }
        check_values(rule, field, values)?;
    }
    if let SubjectIssuer::Url(url) = &rule.subject.issuer {
        check_values(rule, "subject.issuer", std::slice::from_ref(url))?;
    }
    if rule.max_lifetime == Some(0) {
        return Err(ExchangePolicyError::Lifetime(rule.name.clone()));
    }
    Ok(())
}

fn check_values(
    rule: &ExchangeRule,
    field: &'static str,
    values: &[String],
) -> Result<(), ExchangePolicyError> {
    for (index, value) in values.iter().enumerate() {
        // Scopes are written with spaces between them (RFC 6749 section 3.3).
        let divided = field == "scopes" && value.contains(char::is_whitespace);
        if value.trim().is_empty() || divided {
            return Err(ExchangePolicyError::Value {
                rule: rule.name.clone(),
                field,
                value: value.clone(),
            });
        }
        if values.iter().take(index).any(|other| other == value) {
            return Err(ExchangePolicyError::DuplicateValue {
                rule: rule.name.clone(),
                field,
                value: value.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

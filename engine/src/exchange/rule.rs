use serde::{Deserialize, Serialize};

/// In [`ExchangeRule::clients`]: every client that authenticated.
pub const ANY_CLIENT: &str = "*";
/// In [`ExchangeRule::clients`]: every caller, whether it authenticated or not.
pub const PUBLIC: &str = "public";

/// Who may exchange whose tokens for which others: a table `[[exchange]]` of the configuration.
///
/// ```
/// use tokensmith_engine::exchange::{ExchangeMode, ExchangeRule};
/// let rule: ExchangeRule = serde_json::from_str(r#"{
///     "name": "users through the gateway",
///     "clients": ["gateway"],
///     "subject": {"principal": "user", "groups": ["operators", "admins"]},
///     "audiences": ["smd", "https://power.example/api"],
///     "scopes": ["read"],
///     "mode": "delegate",
///     "max_lifetime": 300
/// }"#).unwrap();
/// assert_eq!(rule.mode, ExchangeMode::Delegate);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRule {
    /// How logs and errors call it.
    pub name: String,
    /// Who may ask: ids of clients, and subjects of services that send a token of their own as
    /// `actor_token`; or [`ANY_CLIENT`], or [`PUBLIC`].
    pub clients: Vec<String>,
    /// Whose tokens.
    #[serde(default)]
    pub subject: SubjectConditions,
    /// The targets, one of which each `audience` and `resource` has to be, to the letter.
    pub audiences: Vec<String>,
    /// The scopes that issued tokens may have, of those that the subject's token has.
    pub scopes: Vec<String>,
    /// Whether issued tokens say who acts.
    pub mode: ExchangeMode,
    /// The longest life of an issued token, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime: Option<u32>,
    /// The roles that issued tokens may have, of those that the subject's token has.
    #[serde(default)]
    pub roles: RoleCeiling,
}

/// Whose tokens a rule is for: all conditions have to hold, of each list one element. An empty
/// list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubjectConditions {
    /// `iss`.
    pub issuer: SubjectIssuer,
    /// Users, services or both.
    pub principal: PrincipalCondition,
    /// `sub`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// `groups`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// `roles`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// Whose tokens are exchanged: `self`, or the issuer's URL to the letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SubjectIssuer {
    /// Those of this service.
    #[default]
    Own,
    /// Those of another.
    Url(String),
}

/// The kind of principal that a subject has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalCondition {
    /// Either.
    #[default]
    Any,
    /// A person.
    User,
    /// A program.
    Service,
}

/// Whether an issued token says that someone acts for its subject (RFC 8693 section 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeMode {
    /// It does, in `act`.
    Delegate,
    /// It does not.
    Impersonate,
}

/// The roles that issued tokens may have: `keep`, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `roles` to be `keep` or a list of roles"
)]
pub enum RoleCeiling {
    /// All that the subject's token has.
    Keep(KeepRoles),
    /// Those of them that are listed.
    Only(Vec<String>),
}

/// The word `keep`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepRoles {
    /// `keep`.
    #[default]
    Keep,
}

impl RoleCeiling {
    /// Whether a token may have `role`.
    pub fn allows(&self, role: &str) -> bool {
        match self {
            RoleCeiling::Keep(_) => true,
            RoleCeiling::Only(roles) => roles.iter().any(|own| own == role),
        }
    }
}

impl Default for RoleCeiling {
    fn default() -> Self {
        RoleCeiling::Keep(KeepRoles::Keep)
    }
}

impl From<String> for SubjectIssuer {
    fn from(text: String) -> Self {
        if text == "self" {
            SubjectIssuer::Own
        } else {
            SubjectIssuer::Url(text)
        }
    }
}

impl From<SubjectIssuer> for String {
    fn from(issuer: SubjectIssuer) -> Self {
        match issuer {
            SubjectIssuer::Own => "self".to_owned(),
            SubjectIssuer::Url(url) => url,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_the_narrow_default() {
        let written = json!({
            "name": "n", "clients": ["c"], "audiences": ["a"], "scopes": [], "mode": "impersonate",
        });
        let rule: ExchangeRule = serde_json::from_value(written).unwrap();
        assert_eq!(rule.subject.issuer, SubjectIssuer::Own);
        assert_eq!(rule.subject.principal, PrincipalCondition::Any);
        assert_eq!(rule.roles, RoleCeiling::default());
        assert_eq!(rule.max_lifetime, None);
        let again = serde_json::to_value(&rule).unwrap();
        assert_eq!(serde_json::from_value::<ExchangeRule>(again).unwrap(), rule);
    }

    #[test]
    fn role_ceilings_and_issuers() {
        for (written, allowed) in [
            (json!("keep"), true),
            (json!(["viewer"]), true),
            (json!(["admin"]), false),
            (json!([]), false),
        ] {
            let ceiling: RoleCeiling = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(ceiling.allows("viewer"), allowed, "{written}");
            assert_eq!(serde_json::to_value(&ceiling).unwrap(), written);
        }
        let error = serde_json::from_value::<RoleCeiling>(json!("all")).unwrap_err();
        assert!(error.to_string().contains("`keep` or a list"), "{error}");
        let issuer = SubjectIssuer::from("https://idp.example".to_owned());
        assert_eq!(String::from(issuer), "https://idp.example");
        assert_eq!(String::from(SubjectIssuer::Own), "self");
    }

    #[test]
    fn mistakes_are_refused() {
        let rule = json!({
            "name": "n", "clients": ["c"], "audiences": ["a"], "scopes": ["s"], "mode": "delegate",
        });
        for (field, value) in [
            ("mode", json!("both")),
            ("scope", json!(["s"])),
            ("subject", json!({"principal": "person"})),
            ("subject", json!({"group": ["g"]})),
            ("max_lifetime", json!(-1)),
            ("max_lifetime", json!("300")),
        ] {
            let mut wrong = rule.clone();
            wrong[field] = value;
            assert!(
                serde_json::from_value::<ExchangeRule>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
        for field in ["name", "clients", "audiences", "scopes", "mode"] {
            let mut wrong = rule.clone();
            wrong.as_object_mut().unwrap().remove(field);
            assert!(
                serde_json::from_value::<ExchangeRule>(wrong).is_err(),
                "{field}"
            );
        }
    }
}

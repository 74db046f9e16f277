//! What plugins may say about a user's token. Their answers are data: they are laid over what the
//! provider said and what the rules grant, within bounds that are kept here.

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::user_token::made_claims;
use super::{ExchangeError, Issuance, UserTokenRequest, UserTokenRules};
use crate::claims::{ClaimError, Claims};
use crate::jose::Limits;

/// Claims that no plugin changes: whose token it was, for whom and until when, what it is bound to
/// and who acts.
const FIXED: [&str; 13] = [
    "iss",
    "aud",
    "azp",
    "client_id",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "cnf",
    "act",
    "may_act",
    "token_use",
];
/// More groups or roles than this no user has.
const MOST_NAMES: usize = 10_000;

/// What a claim mapper answers.
///
/// ```
/// use tokensmith_engine::claims::Claims;
/// use tokensmith_engine::exchange::MappedClaims;
/// use tokensmith_engine::jose::Limits;
/// let limits = Limits::default();
/// let provider = Claims::parse(r#"{"sub": "4711", "mail": "ann@site.example"}"#, &limits)?;
/// let answer = r#"{"claims": {"email": "ann@site.example", "mail": null}, "groups": ["ops"]}"#;
/// let user = MappedClaims::parse(answer)?.applied(&provider, &limits)?;
/// assert_eq!(user.claims.string("email"), Some("ann@site.example"));
/// assert_eq!(user.claims.string("mail"), None);
/// assert_eq!(user.groups, Some(vec!["ops".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappedClaims {
    /// Laid over the provider's claims; `null` takes one away.
    pub claims: Map<String, Value>,
    /// In the place of the groups that the mapping of the configuration finds.
    pub groups: Option<Vec<String>>,
    /// Beside the roles that groups grant.
    pub roles: Vec<String>,
}

/// A user of the OpenID provider, after the claim mapper if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedUser {
    /// The provider's claims, or what the mapper made of them.
    pub claims: Claims,
    /// Groups instead of those that the mapping of the configuration finds.
    pub groups: Option<Vec<String>>,
    /// Roles beside those that groups grant.
    pub roles: Vec<String>,
}

/// Why a claim mapper's answer cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MappingError {
    /// It is not JSON of the shape expected.
    #[error("the answer is not an object with `claims`, `groups` and `roles`: {0}")]
    Shape(String),
    /// It changes a claim that is fixed.
    #[error("claim `{0}` is the provider's and cannot be changed")]
    Fixed(String),
    /// A group or role is blank or has control characters, or there are too many.
    #[error("`{0}` has a name that is blank or has control characters, or more than 10000 names")]
    Names(&'static str),
    /// The claims are none that a token could have.
    #[error("the claims together: {0}")]
    Claims(#[from] ClaimError),
}

impl MappedClaims {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`MappingError::Shape`].
    pub fn parse(answer: &str) -> Result<Self, MappingError> {
        serde_json::from_str(answer).map_err(|error| MappingError::Shape(error.to_string()))
    }

    /// The user that the provider's claims and this answer make.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn applied(self, provider: &Claims, limits: &Limits) -> Result<MappedUser, MappingError> {
        for (list, names) in [
            ("groups", self.groups.as_deref().unwrap_or_default()),
            ("roles", self.roles.as_slice()),
        ] {
            let bad = |name: &String| name.trim().is_empty() || name.contains(char::is_control);
            if names.len() > MOST_NAMES || names.iter().any(bad) {
                return Err(MappingError::Names(list));
            }
        }
        let mut claims = provider.all().clone();
        for (name, value) in self.claims {
            let unchanged = claims.get(&name) == Some(&value);
            if FIXED.contains(&name.as_str()) && !unchanged {
                return Err(MappingError::Fixed(name.chars().take(128).collect()));
            }
            if value.is_null() {
                claims.remove(&name);
            } else {
                claims.insert(name, value);
            }
        }
        Ok(MappedUser {
            claims: Claims::parse(Value::Object(claims).to_string(), limits)?,
            groups: self.groups,
            roles: self.roles,
        })
    }
}

impl MappedUser {
    /// As [`super::user_claims`], with the mapper's groups and roles.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn token_claims(
        &self,
        rules: &UserTokenRules,
        request: &UserTokenRequest,
        issuance: &Issuance<'_>,
    ) -> Result<Map<String, Value>, ExchangeError> {
        let groups = self.groups.as_deref();
        made_claims(&self.claims, groups, &self.roles, rules, request, issuance)
    }
}

impl From<Claims> for MappedUser {
    fn from(claims: Claims) -> Self {
        Self {
            claims,
            groups: None,
            roles: Vec::new(),
        }
    }
}

impl MappingError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            MappingError::Shape(_)
            | MappingError::Fixed(_)
            | MappingError::Names(_)
            | MappingError::Claims(_) => "plugin_failed",
        }
    }
}

/// The claims of a token with those of its scopes that a scope policy `answered`, in the token's
/// order; scopes that it never had are not added. Without any the token has no `scope`.
///
/// ```
/// use serde_json::json;
/// use tokensmith_engine::exchange::with_scopes_within;
/// let claims = json!({"sub": "ann", "scope": ["read", "write"]});
/// let claims = claims.as_object().cloned().unwrap_or_default();
/// let answered = ["admin".to_owned(), "read".to_owned()];
/// assert_eq!(with_scopes_within(claims, &answered)["scope"], json!(["read"]));
/// ```
pub fn with_scopes_within(
    mut claims: Map<String, Value>,
    answered: &[String],
) -> Map<String, Value> {
    let kept: Vec<Value> = claims
        .get("scope")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|scope| {
            let scope = scope.as_str();
            scope.is_some_and(|scope| answered.iter().any(|own| own == scope))
        })
        .cloned()
        .collect();
    if kept.is_empty() {
        claims.remove("scope");
    } else {
        claims.insert("scope".to_owned(), kept.into());
    }
    claims
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> Claims {
        let claims = json!({
            "iss": "https://idp.test", "aud": "cli", "sub": "4711", "exp": 2000, "auth_level": "1",
        });
        Claims::parse(claims.to_string(), &Limits::default()).unwrap()
    }

    fn applied(answer: &Value) -> Result<MappedUser, MappingError> {
        MappedClaims::parse(&answer.to_string())?.applied(&provider(), &Limits::default())
    }

    #[test]
    fn answers_are_laid_over_the_claims() {
        let user = applied(&json!({
            "claims": {"sub": "ann", "auth_level": null, "team": ["a", "b"], "exp": 2000},
            "roles": ["operator"],
        }))
        .unwrap();
        assert_eq!(
            Value::Object(user.claims.all().clone()),
            json!({"iss": "https://idp.test", "aud": "cli", "sub": "ann", "exp": 2000, "team": ["a", "b"]})
        );
        assert_eq!(
            (user.groups, user.roles),
            (None, vec!["operator".to_owned()])
        );
        assert_eq!(applied(&json!({})).unwrap().claims.all(), provider().all());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (answer, error) in [
            (json!({"claims": {"exp": 9000}}), "`exp`"),
            (json!({"claims": {"iss": null}}), "`iss`"),
            (json!({"claims": {"cnf": {}}}), "`cnf`"),
            (json!({"claims": {"sub": 1}}), "`sub`"),
            (json!({"groups": [" "]}), "`groups`"),
            (json!({"roles": ["a\nb"]}), "`roles`"),
            (json!({"roles": vec!["r"; MOST_NAMES + 1]}), "`roles`"),
            (json!({"role": []}), "`role`"),
            (json!({"groups": "ops"}), "object with"),
            (json!([1]), "object with"),
        ] {
            let found = applied(&answer).unwrap_err();
            assert!(found.to_string().contains(error), "{found}");
            assert_eq!(found.code(), "plugin_failed");
        }
    }

    #[test]
    fn scopes_are_only_taken_away() {
        for (scopes, answered, left) in [
            (json!(["a", "b"]), vec!["b", "c"], json!(["b"])),
            (json!(["a", "b"]), vec!["b", "a"], json!(["a", "b"])),
            (json!(["a"]), vec![], Value::Null),
            (Value::Null, vec!["a"], Value::Null),
        ] {
            let mut claims = Map::new();
            claims.insert("scope".to_owned(), scopes);
            let answered: Vec<String> = answered.into_iter().map(str::to_owned).collect();
            let claims = with_scopes_within(claims, &answered);
            assert_eq!(claims.get("scope").cloned().unwrap_or_default(), left);
        }
    }
}

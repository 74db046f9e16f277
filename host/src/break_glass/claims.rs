use std::time::Duration;

use serde_json::{Map, Value, json};

use super::BreakGlassError;
use crate::random;

/// Life of a token when nothing else is asked for.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The longest life of a token.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// More characters say nothing more, and would not fit into a header.
const LONGEST_REASON: usize = 1024;

/// Who is to get a token, for what and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// `iss`: the service's.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// Until `exp`, at most [`LONGEST_LIFETIME`].
    pub lifetime: Duration,
    /// `cluster_id`.
    pub cluster_id: String,
    /// `openchami_id`.
    pub openchami_id: String,
    /// `break_glass_reason`.
    pub reason: String,
}

/// The claims of a break-glass token (RFC 7519), with fresh identifiers. They say by
/// `auth_methods` and `auth_events` that an operator vouched for the user.
///
/// # Errors
/// [`BreakGlassError::Request`] and [`BreakGlassError::Random`].
pub fn claims(request: &MintRequest, now: i64) -> Result<Map<String, Value>, BreakGlassError> {
    check(request)?;
    let lifetime = i64::try_from(request.lifetime.as_secs()).unwrap_or(i64::MAX);
    let exp = now.saturating_add(lifetime);
    let claims = json!({
        "iss": request.issuer,
        "sub": request.subject.trim(),
        "aud": request.audience,
        "exp": exp,
        "nbf": now,
        "iat": now,
        "jti": random::identifier()?,
        "nonce": random::opaque_token()?,
        "cluster_id": request.cluster_id,
        "openchami_id": request.openchami_id,
        "principal_type": "user",
        "auth_level": "IAL2",
        "auth_factors": 2,
        "auth_methods": ["local_user_mint", "operator_attested"],
        "auth_events": ["local_user_token_mint"],
        "session_id": format!("local-{}", random::identifier()?),
        "session_exp": exp,
        "scope": request.scopes,
        "break_glass_reason": request.reason.trim(),
    });
    Ok(match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    })
}

fn check(request: &MintRequest) -> Result<(), BreakGlassError> {
    let refused = |flag, problem| Err(BreakGlassError::Request { flag, problem });
    for (flag, values) in [
        ("--issuer", std::slice::from_ref(&request.issuer)),
        ("--subject", std::slice::from_ref(&request.subject)),
        ("--reason", std::slice::from_ref(&request.reason)),
        ("--audience", request.audience.as_slice()),
        ("--scopes", request.scopes.as_slice()),
    ] {
        if values.is_empty() || values.iter().any(|value| value.trim().is_empty()) {
            return refused(flag, "is empty");
        }
        if values
            .iter()
            .any(|value| value.chars().any(char::is_control))
        {
            return refused(flag, "has control characters");
        }
    }
    if request.reason.chars().count() > LONGEST_REASON {
        return refused("--reason", "is longer than 1024 characters");
    }
    if request
        .scopes
        .iter()
        .any(|scope| scope.trim().contains(' '))
    {
        return refused("--scopes", "has a space within a scope");
    }
    if !(Duration::from_secs(1)..=LONGEST_LIFETIME).contains(&request.lifetime) {
        return refused("--ttl", "has to be between 1 second and 1 hour");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> MintRequest {
        MintRequest {
            issuer: "http://tokensmith.test".to_owned(),
            subject: "alice".to_owned(),
            audience: vec!["openchami".to_owned()],
            scopes: vec!["admin".to_owned()],
            lifetime: DEFAULT_LIFETIME,
            cluster_id: "cl".to_owned(),
            openchami_id: "oc".to_owned(),
            reason: "the provider is down".to_owned(),
        }
    }

    #[test]
    fn each_token_is_its_own() {
        let (one, other) = (
            claims(&request(), 7).unwrap(),
            claims(&request(), 7).unwrap(),
        );
        for name in ["jti", "nonce", "session_id"] {
            assert_ne!(one[name], other[name], "{name}");
        }
        assert_eq!(one["exp"], 7 + 15 * 60);
        assert_eq!(one["session_exp"], one["exp"]);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        type Mistake = (&'static str, fn(&mut MintRequest));
        let cases: [Mistake; 8] = [
            ("--reason", |request| request.reason = " \t".to_owned()),
            ("--reason", |request| request.reason = "a\nb".to_owned()),
            ("--reason", |request| request.reason = "x".repeat(1025)),
            ("--subject", |request| request.subject.clear()),
            ("--audience", |request| request.audience.clear()),
            ("--scopes", |request| {
                request.scopes = vec!["a b".to_owned()]
            }),
            ("--ttl", |request| request.lifetime += LONGEST_LIFETIME),
            ("--ttl", |request| request.lifetime = Duration::ZERO),
        ];
        for (expected, change) in cases {
            let mut request = request();
            change(&mut request);
            match claims(&request, 7) {
                Err(BreakGlassError::Request { flag, .. }) => assert_eq!(flag, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}

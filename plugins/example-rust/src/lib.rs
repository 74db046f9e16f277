//! A plugin for a site whose provider sends `entitlements` such as `urn:site:hpc:operators` and
//! says nothing of groups, and where contractors never get the scope `admin`.

#[cfg(target_arch = "wasm32")]
mod component;

use serde_json::{Value, json};

/// What entitlements of the site begin with.
const PREFIX: &str = "urn:site:hpc:";

/// The answer of `map-claims`.
///
/// # Errors
/// Why the user gets no token.
pub fn map_claims(claims: &str) -> Result<String, String> {
    let claims: Value = serde_json::from_str(claims).map_err(|error| error.to_string())?;
    if claims.get("suspended") == Some(&Value::Bool(true)) {
        return Err("the account is suspended".to_owned());
    }
    let entitlements = claims.get("entitlements").and_then(Value::as_array);
    let Some(entitlements) = entitlements else {
        // A token of another kind: the configuration's own mapping is good for it.
        return Ok("{}".to_owned());
    };
    let groups: Vec<&str> = entitlements
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|entitlement| entitlement.strip_prefix(PREFIX))
        .collect();
    let on_call = claims.get("on_call") == Some(&Value::Bool(true));
    let roles = if on_call { vec!["on-call"] } else { Vec::new() };
    let answer = json!({
        "claims": {"entitlements": null, "auth_events": ["site_login"]},
        "groups": groups,
        "roles": roles,
    });
    Ok(answer.to_string())
}

/// The answer of `limit-scopes`.
///
/// # Errors
/// Why there is no token.
pub fn limit_scopes(subject: &str, scopes: Vec<String>) -> Result<Vec<String>, String> {
    if !subject.starts_with("contractor-") {
        return Ok(scopes);
    }
    Ok(scopes
        .into_iter()
        .filter(|scope| scope != "admin")
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entitlements_become_groups() {
        let claims =
            r#"{"entitlements": ["urn:site:hpc:operators", "urn:other:x"], "on_call": true}"#;
        let answer: Value = serde_json::from_str(&map_claims(claims).unwrap()).unwrap();
        assert_eq!(answer["groups"], json!(["operators"]));
        assert_eq!(answer["roles"], json!(["on-call"]));
        assert_eq!(map_claims(r#"{"sub": "a"}"#), Ok("{}".to_owned()));
        assert!(map_claims(r#"{"suspended": true}"#).is_err());
        assert!(map_claims("no JSON").is_err());
    }

    #[test]
    fn contractors_do_not_administrate() {
        let scopes = || vec!["read".to_owned(), "admin".to_owned()];
        assert_eq!(limit_scopes("ann", scopes()), Ok(scopes()));
        let limited = limit_scopes("contractor-bob", scopes());
        assert_eq!(limited, Ok(vec!["read".to_owned()]));
    }
}

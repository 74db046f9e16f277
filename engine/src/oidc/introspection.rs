use serde_json::{Map, Value};

use super::ProviderTokenError;
use super::token_kind::mark_of_id_token;
use crate::binding::{Presented, check_binding};
use crate::claims::{ClaimError, ClaimRules, Claims};
use crate::jose::{Limits, parse_object};

/// Reads a provider's answer to the introspection of an access token (RFC 7662 section 2.2) and
/// checks it at `now` (Unix seconds) as the claims of a token of that provider.
///
/// `rules` are those for its access tokens. Where the answer has no `iss` it is the provider's
/// own word; where it has no `aud` the token has to be one of the client `client_id`.
///
/// # Errors
/// [`ProviderTokenError`].
pub fn check_introspection(
    answer: &[u8],
    rules: &ClaimRules,
    client_id: &str,
    limits: &Limits,
    now: i64,
) -> Result<Claims, ProviderTokenError> {
    let mut members = parse_object(answer, limits).map_err(ProviderTokenError::Introspection)?;
    match members.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Err(ProviderTokenError::Inactive),
        _ => {
            return Err(ProviderTokenError::Introspection(
                "`active` is not true or false".to_owned(),
            ));
        }
    }
    check_kind(&members)?;
    // Its values are no two providers' the same, and were looked at.
    members.remove("token_use");
    if !members.contains_key("iss") {
        members.insert("iss".to_owned(), rules.issuer.as_str().into());
    }
    if !has_audience(&members) {
        let client = ["client_id", "azp"]
            .iter()
            .find_map(|name| members.get(*name).and_then(Value::as_str));
        if client != Some(client_id) {
            return Err(ClaimError::Audience.into());
        }
        let audience = rules.audiences.first().cloned().unwrap_or_default();
        members.insert("aud".to_owned(), audience.into());
    }
    let claims = Claims::parse(Value::Object(members).to_string(), limits)?;
    if claims.iss() != Some(rules.issuer.as_str()) {
        return Err(ProviderTokenError::Introspection(
            "`iss` is another issuer".to_owned(),
        ));
    }
    rules.check(&claims, now)?;
    let confirmation = claims.confirmation()?;
    check_binding(confirmation.as_ref(), false, &Presented::default())?;
    Ok(claims)
}

/// Refresh tokens may be introspected too (RFC 7662 section 2.1): providers that say so do it by
/// `token_type`, `token_use` or, as Keycloak, by `typ`.
fn check_kind(members: &Map<String, Value>) -> Result<(), ProviderTokenError> {
    if let Some(mark) = mark_of_id_token(members) {
        return Err(ProviderTokenError::NotAccessToken(mark));
    }
    let one_of = |name: &str, good: &[&str]| match members.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => good.iter().any(|own| own.eq_ignore_ascii_case(text)),
        Some(_) => false,
    };
    if !one_of("token_type", &["bearer", "access_token", "dpop"]) {
        return Err(ProviderTokenError::NotAccessToken(
            "its `token_type` is another",
        ));
    }
    if !one_of("token_use", &["access_token", "access"]) {
        return Err(ProviderTokenError::NotAccessToken(
            "its `token_use` is another",
        ));
    }
    if !one_of("typ", &["bearer", "jwt", "at+jwt"]) {
        return Err(ProviderTokenError::NotAccessToken("its `typ` is another"));
    }
    Ok(())
}

fn has_audience(members: &Map<String, Value>) -> bool {
    match members.get("aud") {
        None | Some(Value::Null) => false,
        Some(Value::Array(audiences)) => !audiences.is_empty(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_active_and_meant_for_us() {
        let rules = ClaimRules::generic("https://idp.example", ["tokensmith", "api"]);
        let good = json!({
            "active": true, "sub": "alice", "client_id": "tokensmith", "exp": 2000, "iat": 900,
            "token_type": "Bearer", "scope": "openid", "ext": {"groups": ["admin"]},
        });
        for (change, code) in [
            (json!({}), "ok"),
            (json!({"active": false}), "token_inactive"),
            (json!({"active": "true"}), "introspection_malformed"),
            (json!({"active": null}), "introspection_malformed"),
            (json!({"iss": "https://idp.example"}), "ok"),
            (
                json!({"iss": "https://other.example"}),
                "introspection_malformed",
            ),
            (json!({"client_id": "other"}), "audience_mismatch"),
            (json!({"client_id": null, "azp": "tokensmith"}), "ok"),
            (json!({"client_id": null}), "audience_mismatch"),
            (json!({"aud": []}), "ok"),
            (
                json!({"aud": [], "client_id": "other"}),
                "audience_mismatch",
            ),
            (json!({"aud": ["api"], "client_id": "other"}), "ok"),
            (json!({"aud": "elsewhere"}), "audience_mismatch"),
            (json!({"exp": 900}), "token_expired"),
            (json!({"exp": null}), "claim_missing"),
            (json!({"exp": "soon"}), "claim_type"),
            (json!({"nbf": 1100}), "token_not_yet_valid"),
            (json!({"sub": null}), "claim_missing"),
            (
                json!({"token_type": "bearer", "token_use": "access_token"}),
                "ok",
            ),
            (json!({"token_use": "refresh_token"}), "not_an_access_token"),
            (
                json!({"token_type": "refresh_token"}),
                "not_an_access_token",
            ),
            (json!({"typ": "Refresh"}), "not_an_access_token"),
            (json!({"at_hash": "x"}), "not_an_access_token"),
            (json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
        ] {
            let mut answer = good.clone();
            for (name, value) in change.as_object().unwrap() {
                match value {
                    Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
                    value => answer[name] = value.clone(),
                }
            }
            let checked = check_introspection(
                answer.to_string().as_bytes(),
                &rules,
                "tokensmith",
                &Limits::default(),
                1000,
            );
            let found = checked.map_or_else(|error| error.code(), |_| "ok");
            assert_eq!(found, code, "{change}");
        }
        for answer in [&b"[]"[..], b"", b"{\"active\":true,\"active\":false}"] {
            let checked =
                check_introspection(answer, &rules, "tokensmith", &Limits::default(), 1000);
            assert_eq!(checked.unwrap_err().code(), "introspection_malformed");
        }
    }
}

use serde_json::{Map, Value};

use crate::jose::{Jws, Limits};

/// What kind of token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An ID token (OpenID Connect Core section 2).
    IdToken,
    /// An access token that is a JWT (RFC 9068, or a provider's own).
    JwtAccessToken,
    /// An access token that only the provider can read.
    OpaqueAccessToken,
}

impl TokenKind {
    /// The kind that a token seems to be. Nothing of it is verified: this only says which rules
    /// it has to pass.
    ///
    /// ```
    /// use tokensmith_engine::jose::Limits;
    /// use tokensmith_engine::oidc::TokenKind;
    /// let kind = TokenKind::presumed("ory_at_8NwrJ4", &Limits::default());
    /// assert_eq!(kind, TokenKind::OpaqueAccessToken);
    /// ```
    pub fn presumed(token: &str, limits: &Limits) -> Self {
        // What has three parts wants to be a JWT, however bad it is.
        if token.split('.').count() != 3 {
            return TokenKind::OpaqueAccessToken;
        }
        let Ok(parts) = Jws::inspect(token, limits) else {
            return TokenKind::IdToken;
        };
        let typ = parts.header.get("typ").and_then(Value::as_str);
        let is_access = match mark_of_id_token(&parts.payload) {
            Some(_) => false,
            None => is_access_type(typ) || has_mark_of_access_token(&parts.payload),
        };
        if is_access {
            TokenKind::JwtAccessToken
        } else {
            TokenKind::IdToken
        }
    }
}

/// Whether a header's `typ` is that of RFC 9068 section 2.1.
pub(super) fn is_access_type(typ: Option<&str>) -> bool {
    typ.is_some_and(|typ| {
        typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
    })
}

/// What only ID tokens have, if the claims have any of it.
pub(super) fn mark_of_id_token(claims: &Map<String, Value>) -> Option<&'static str> {
    if claims.get("typ").and_then(Value::as_str) == Some("ID") {
        return Some("its claim `typ` is `ID`");
    }
    if claims.get("token_use").and_then(Value::as_str) == Some("id") {
        return Some("its claim `token_use` is `id`");
    }
    let hash = ["at_hash", "c_hash", "s_hash"]
        .iter()
        .any(|name| claims.contains_key(*name));
    hash.then_some("it has the hash of another token")
}

/// Whether the claims have what only access tokens have: Keycloak's `typ`, the `client_id` of
/// RFC 9068, the `scp` of Entra, Okta and Hydra, the `token_use` of Cognito.
pub(super) fn has_mark_of_access_token(claims: &Map<String, Value>) -> bool {
    claims.get("typ").and_then(Value::as_str) == Some("Bearer")
        || claims.get("token_use").and_then(Value::as_str) == Some("access")
        || claims.contains_key("client_id")
        || claims.contains_key("scp")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::encode_base64url;

    #[test]
    fn kinds_are_told_apart() {
        use TokenKind::{IdToken, JwtAccessToken, OpaqueAccessToken};
        for (header, claims, kind) in [
            (json!({"alg": "RS256"}), json!({"sub": "a"}), IdToken),
            (
                json!({"typ": "JWT"}),
                json!({"nonce": "n", "scope": "openid"}),
                IdToken,
            ),
            (
                json!({"typ": "at+jwt"}),
                json!({"sub": "a"}),
                JwtAccessToken,
            ),
            (
                json!({"typ": "application/at+jwt"}),
                json!({}),
                JwtAccessToken,
            ),
            (
                json!({"typ": "JWT"}),
                json!({"typ": "Bearer"}),
                JwtAccessToken,
            ),
            (json!({"typ": "JWT"}), json!({"typ": "ID"}), IdToken),
            (
                json!({"typ": "JWT"}),
                json!({"scp": ["a"], "client_id": "c"}),
                JwtAccessToken,
            ),
            (
                json!({"typ": "JWT"}),
                json!({"scp": ["a"], "at_hash": "x"}),
                IdToken,
            ),
            (json!({"typ": "at+jwt"}), json!({"at_hash": "x"}), IdToken),
            (json!([]), json!({"typ": "Bearer"}), IdToken),
        ] {
            let token = format!(
                "{}.{}.AQ",
                encode_base64url(header.to_string()),
                encode_base64url(claims.to_string())
            );
            assert_eq!(
                TokenKind::presumed(&token, &Limits::default()),
                kind,
                "{header} {claims}"
            );
        }
        for token in ["", "opaque", "ory_at_abc.def", "a.b.c.d"] {
            let kind = TokenKind::presumed(token, &Limits::default());
            assert_eq!(kind, OpaqueAccessToken, "{token}");
        }
        assert_eq!(TokenKind::presumed("a.b.c", &Limits::default()), IdToken);
    }
}

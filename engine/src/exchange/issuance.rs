use serde_json::{Map, Value, json};

/// The longest session a token may name, in seconds: what verifiers of the TokenSmith profile
/// accept.
pub const MAX_SESSION_SECONDS: i64 = 24 * 60 * 60;

/// What the service supplies for one token. The random values are its own, never the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Issuance<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `cluster_id`.
    pub cluster_id: &'a str,
    /// `openchami_id`.
    pub openchami_id: &'a str,
    /// Unix time in seconds: `iat` and `nbf`.
    pub now: i64,
    /// The longest life of a token in seconds.
    pub lifetime: i64,
    /// `jti`, unique among all tokens.
    pub jti: &'a str,
    /// `nonce`, unguessable.
    pub nonce: &'a str,
}

impl Issuance<'_> {
    /// The claims that every token has.
    pub(super) fn base(&self, sub: &str, audience: &[String], exp: i64) -> Map<String, Value> {
        object(json!({
            "iss": self.issuer,
            "sub": sub,
            "aud": audience,
            "exp": exp,
            "nbf": self.now,
            "iat": self.now,
            "jti": self.jti,
            "nonce": self.nonce,
            "cluster_id": self.cluster_id,
            "openchami_id": self.openchami_id,
        }))
    }
}

/// Completes claims for an access token of type `at+jwt`, which names the client that asked for it
/// (RFC 9068 section 2.2): `client_id` where there is none yet.
///
/// ```
/// use tokensmith_engine::exchange::as_at_jwt;
/// let claims = as_at_jwt(serde_json::Map::new(), "inventory");
/// assert_eq!(claims["client_id"], "inventory");
/// assert_eq!(as_at_jwt(claims.clone(), "other"), claims);
/// ```
pub fn as_at_jwt(mut claims: Map<String, Value>, client_id: &str) -> Map<String, Value> {
    claims
        .entry("client_id")
        .or_insert_with(|| Value::from(client_id));
    claims
}

/// Binds the token to the certificate with the thumbprint `x5t#S256` (RFC 8705 section 3.1), if
/// there is one.
pub(super) fn confirm(claims: &mut Map<String, Value>, confirmation: Option<&str>) {
    if let Some(thumbprint) = confirmation {
        claims.insert("cnf".to_owned(), json!({"x5t#S256": thumbprint}));
    }
}

/// The members of a JSON object; nothing of any other value.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

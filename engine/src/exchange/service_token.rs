use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Issuance;
use super::issuance::object;

/// What an administrator granted to a service when its bootstrap token was made. A request never
/// changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceGrant {
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// `roles`.
    pub roles: Vec<String>,
}

/// The claims of a service's access token. `session_id` is the refresh family's.
///
/// ```
/// use tokensmith_engine::exchange::{Issuance, ServiceGrant, service_claims};
/// let grant = ServiceGrant {
///     subject: "boot-service".to_owned(),
///     audience: vec!["smd".to_owned()],
///     scopes: vec!["read".to_owned()],
///     roles: vec!["service".to_owned()],
/// };
/// let issuance = Issuance {
///     issuer: "https://tokensmith.example", cluster_id: "cl", openchami_id: "oc",
///     now: 1_000, lifetime: 3600, jti: "j", nonce: "n",
/// };
/// let claims = service_claims(&grant, "family", &issuance);
/// assert_eq!((&claims["sub"], &claims["exp"]), (&"boot-service".into(), &4600.into()));
/// ```
pub fn service_claims(
    grant: &ServiceGrant,
    session_id: &str,
    issuance: &Issuance<'_>,
) -> Map<String, Value> {
    let exp = issuance.now.saturating_add(issuance.lifetime);
    let mut claims = issuance.base(&grant.subject, &grant.audience, exp);
    claims.extend(object(json!({
        "principal_type": "service",
        "auth_level": "IAL2",
        "auth_factors": 2,
        "auth_methods": ["bootstrap_exchange"],
        "auth_events": ["bootstrap_token_exchange"],
        "session_id": session_id,
        "session_exp": exp,
        "roles": grant.roles,
    })));
    if !grant.scopes.is_empty() {
        claims.insert("scope".to_owned(), json!(grant.scopes));
    }
    claims
}

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::issuance::{confirm, object};
use super::{ClientAuthMethod, ExchangeError, Issuance, narrow_scopes};

/// What an administrator granted to a service: when its bootstrap token was made, or in the
/// configuration. A request never adds to it.
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

impl ServiceGrant {
    /// The grant of one token: all, or those of the targets and scopes that are asked for.
    ///
    /// # Errors
    /// [`ExchangeError::Target`] and [`ExchangeError::Scope`] for what is not granted.
    pub fn narrowed(
        &self,
        targets: &[String],
        scopes: Option<&[String]>,
    ) -> Result<Self, ExchangeError> {
        let shortened = |text: &str| text.chars().take(128).collect();
        if let Some(other) = targets
            .iter()
            .find(|target| !self.audience.contains(target))
        {
            return Err(ExchangeError::Target(shortened(other)));
        }
        let mut narrowed = self.clone();
        if !targets.is_empty() {
            narrowed.audience.retain(|own| targets.contains(own));
        }
        if let Some(requested) = scopes {
            narrowed.scopes = narrow_scopes(&self.scopes, requested)
                .map_err(|scope| ExchangeError::Scope(shortened(&scope)))?;
        }
        Ok(narrowed)
    }
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
    let (method, event) = ("bootstrap_exchange", "bootstrap_token_exchange");
    claims(grant, session_id, method, event, issuance)
}

/// The claims of the access token of a service that showed its certificate. `session_id` is the
/// refresh family's; `confirmation` is the thumbprint (`x5t#S256`) of the certificate the token is
/// bound to.
pub fn session_claims(
    grant: &ServiceGrant,
    session_id: &str,
    confirmation: Option<&str>,
    issuance: &Issuance<'_>,
) -> Map<String, Value> {
    let mut claims = claims(
        grant,
        session_id,
        "mtls",
        "service_identity_session",
        issuance,
    );
    confirm(&mut claims, confirmation);
    claims
}

/// The claims of the access token that a client gets for its own credentials (RFC 6749 section
/// 4.4). There is no refresh token, so the token is a session of its own; `confirmation` is the
/// thumbprint (`x5t#S256`) of the certificate the token is bound to.
pub fn client_claims(
    grant: &ServiceGrant,
    client_id: &str,
    method: ClientAuthMethod,
    confirmation: Option<&str>,
    issuance: &Issuance<'_>,
) -> Map<String, Value> {
    let method = match method {
        ClientAuthMethod::PrivateKeyJwt => "private_key_jwt",
        ClientAuthMethod::TlsClientAuth | ClientAuthMethod::SelfSignedTlsClientAuth => "mtls",
    };
    let mut claims = claims(grant, issuance.jti, method, "client_credentials", issuance);
    claims.insert("client_id".to_owned(), client_id.into());
    confirm(&mut claims, confirmation);
    claims
}

fn claims(
    grant: &ServiceGrant,
    session_id: &str,
    method: &str,
    event: &str,
    issuance: &Issuance<'_>,
) -> Map<String, Value> {
    let exp = issuance.now.saturating_add(issuance.lifetime);
    let mut claims = issuance.base(&grant.subject, &grant.audience, exp);
    claims.extend(object(json!({
        "principal_type": "service",
        "auth_level": "IAL2",
        "auth_factors": 2,
        "auth_methods": [method],
        "auth_events": [event],
        "session_id": session_id,
        "session_exp": exp,
        "roles": grant.roles,
    })));
    if !grant.scopes.is_empty() {
        claims.insert("scope".to_owned(), json!(grant.scopes));
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_the_service_authenticated() {
        let grant = ServiceGrant {
            subject: "smd".to_owned(),
            audience: vec!["bss".to_owned()],
            scopes: Vec::new(),
            roles: vec!["service".to_owned()],
        };
        let issuance = Issuance {
            issuer: "https://tokensmith.example",
            cluster_id: "cl",
            openchami_id: "oc",
            now: 1_000,
            lifetime: 60,
            jti: "jti",
            nonce: "n",
        };
        let client = |method, confirmation| {
            client_claims(&grant, "smd-client", method, confirmation, &issuance)
        };
        let (key, mtls) = (
            ClientAuthMethod::PrivateKeyJwt,
            ClientAuthMethod::TlsClientAuth,
        );
        for (claims, method, event, session, client, bound) in [
            (
                service_claims(&grant, "f", &issuance),
                "bootstrap_exchange",
                "bootstrap_token_exchange",
                "f",
                None,
                None,
            ),
            (
                session_claims(&grant, "f", Some("t"), &issuance),
                "mtls",
                "service_identity_session",
                "f",
                None,
                Some("t"),
            ),
            (
                client(key, None),
                "private_key_jwt",
                "client_credentials",
                "jti",
                Some("smd-client"),
                None,
            ),
            (
                client(mtls, Some("t")),
                "mtls",
                "client_credentials",
                "jti",
                Some("smd-client"),
                Some("t"),
            ),
        ] {
            assert_eq!(claims["auth_methods"], json!([method]));
            assert_eq!(claims["auth_events"], json!([event]));
            assert_eq!(claims["session_id"], session);
            assert_eq!(claims["session_exp"], claims["exp"]);
            assert_eq!(claims["principal_type"], "service");
            assert_eq!(claims.get("client_id").and_then(Value::as_str), client);
            let cnf = claims.get("cnf").and_then(|cnf| cnf.get("x5t#S256"));
            assert_eq!(cnf.and_then(Value::as_str), bound);
            assert!(!claims.contains_key("scope"));
        }
    }
}

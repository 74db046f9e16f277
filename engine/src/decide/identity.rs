use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ClaimHeader, Config, FilterStateConfig, IssuerConfig, PayloadHeader};
use crate::binding::{BindingError, Confirmation, Presented, check_binding};
use crate::jose::encode_base64url;
use crate::principal::{ClaimPath, Principal};
use crate::verify::Verified;

/// The headers that carry the principal to the service behind. Inbound copies are always removed.
pub(super) const IDENTITY_HEADERS: [&str; 4] = [
    "x-tokensmith-subject",
    "x-tokensmith-principal-type",
    "x-tokensmith-roles",
    "x-tokensmith-scopes",
];

/// What a verified token means for requests: the principal and the headers to hand on.
#[derive(Clone, Debug)]
pub struct Identity {
    principal: Principal,
    issuer: Arc<str>,
    headers: Arc<[(String, String)]>,
    exported: Map<String, Value>,
    confirmation: Option<Confirmation>,
    /// Whether the token has to be bound.
    constrained: bool,
}

/// What is made of the tokens of each issuer.
#[derive(Debug)]
pub(super) struct IdentityRules {
    /// Claims and header names in lower case.
    claims: Vec<(ClaimPath, String)>,
    exported: Vec<(String, ClaimPath)>,
    issuers: Vec<IssuerRules>,
}

#[derive(Debug)]
struct IssuerRules {
    name: Arc<str>,
    payload: Option<PayloadHeader>,
}

impl IdentityRules {
    pub(super) fn new(config: &Config) -> Self {
        let exported = |state: &FilterStateConfig| {
            let paths = state.claims.iter();
            let named = paths.map(|path| (path.names().join("."), path.clone()));
            named.collect::<Vec<_>>()
        };
        let claims = |own: &ClaimHeader| (own.claim.clone(), own.header.to_ascii_lowercase());
        let issuer = |own: &IssuerConfig| IssuerRules {
            name: own.issuer.as_str().into(),
            payload: own.payload_header.clone(),
        };
        Self {
            claims: config.claim_headers.iter().map(claims).collect(),
            exported: config
                .filter_state
                .as_ref()
                .map(exported)
                .unwrap_or_default(),
            issuers: config.issuers.iter().map(issuer).collect(),
        }
    }

    /// The name of every header that is ever set, in lower case, each once.
    pub(super) fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = IDENTITY_HEADERS.map(str::to_owned).to_vec();
        let claims = self.claims.iter().map(|(_, name)| name.clone());
        let payloads = self.issuers.iter().filter_map(IssuerRules::payload_name);
        for name in claims.chain(payloads) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The issuers' names, in their order.
    pub(super) fn issuer_names(&self) -> Vec<Arc<str>> {
        let names = self.issuers.iter();
        names.map(|issuer| Arc::clone(&issuer.name)).collect()
    }
}

impl IssuerRules {
    fn payload_name(&self) -> Option<String> {
        Some(self.payload.as_ref()?.name.to_ascii_lowercase())
    }

    fn payload_header(&self, payload: &str) -> Option<(String, String)> {
        let pad = self.payload.as_ref()?.pad;
        let mut value = encode_base64url(payload);
        while pad && !value.len().is_multiple_of(4) {
            value.push('=');
        }
        Some((self.payload_name()?, value))
    }
}

impl Identity {
    pub(super) fn new(verified: &Verified, rules: &IdentityRules) -> Self {
        let claims = verified.claims();
        let principal = Principal::from_verified(verified);
        let [subject, principal_type, roles, scopes] = IDENTITY_HEADERS;
        let join = |parts: Vec<&str>, separator: &str| parts.join(separator);
        let own = [
            (subject, principal.id().to_owned()),
            (principal_type, principal.principal_type().name().to_owned()),
            (roles, join(principal.roles().collect(), ",")),
            (scopes, join(principal.scopes().collect(), " ")),
        ];
        let mapped = rules.claims.iter().filter_map(|(claim, header)| {
            Some((header.as_str(), claim_text(claim.value(claims)?)?))
        });
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in own.into_iter().chain(mapped) {
            let is_set = headers.iter().any(|(other, _)| other == name);
            if !is_set && !value.is_empty() {
                headers.push((name.to_owned(), header_value(&value)));
            }
        }
        let iss = claims.iss().unwrap_or_default();
        let issuer = rules.issuers.iter().find(|issuer| *issuer.name == *iss);
        headers.extend(issuer.and_then(|issuer| issuer.payload_header(claims.payload())));
        let exported = rules.exported.iter().filter_map(|(name, claim)| {
            let value = claim.value(claims)?;
            Some((name.clone(), value.clone()))
        });
        Self {
            principal,
            issuer: issuer.map_or_else(|| iss.into(), |issuer| Arc::clone(&issuer.name)),
            headers: headers.into(),
            exported: exported.collect(),
            confirmation: verified.confirmation().cloned(),
            constrained: verified.must_be_bound(),
        }
    }

    pub(super) fn needs_proof(&self) -> bool {
        self.confirmation
            .as_ref()
            .is_some_and(Confirmation::needs_proof)
    }

    pub(super) fn jkt(&self) -> Option<String> {
        self.confirmation.as_ref()?.jkt()
    }

    pub(super) fn needs_certificate(&self) -> bool {
        self.confirmation
            .as_ref()
            .is_some_and(|own| own.certificate().is_some())
    }

    pub(super) fn check_binding(&self, presented: &Presented<'_>) -> Result<(), BindingError> {
        check_binding(self.confirmation.as_ref(), self.constrained, presented)
    }

    /// Whether it sets the header `name`.
    pub(super) fn sets(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own == name)
    }

    /// The principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The token's issuer.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Names (lower case, each once) and values of the headers to hand on.
    pub fn headers(&self) -> &Arc<[(String, String)]> {
        &self.headers
    }

    /// The claims of [`super::FilterStateConfig::claims`] that the token has, by name; the names
    /// of nested ones are joined with `.`.
    pub fn exported_claims(&self) -> &Map<String, Value> {
        &self.exported
    }
}

/// Scalars as they are, arrays of scalars joined with `,`; objects are not headers.
fn claim_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(elements) => {
            let parts: Option<Vec<String>> = elements
                .iter()
                .map(|element| {
                    if element.is_array() {
                        None
                    } else {
                        claim_text(element)
                    }
                })
                .collect();
            Some(parts?.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// A claim may hold any character, a header value may not: `%`, control characters and
/// everything outside ASCII are percent-encoded.
fn header_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_cannot_break_out() {
        assert_eq!(header_value("a\r\nx: y"), "a%0D%0Ax: y");
        assert_eq!(header_value("é 5%"), "%C3%A9 5%25");
    }

    #[test]
    fn claims_as_text() {
        assert_eq!(
            claim_text(&serde_json::json!(["a", 1, true])),
            Some("a,1,true".to_owned())
        );
        assert_eq!(claim_text(&serde_json::json!({"a": 1})), None);
        assert_eq!(claim_text(&serde_json::json!([["a"]])), None);
    }

    #[test]
    fn payloads() {
        for (payload, pad, expected) in [
            ("{}", false, "e30"),
            ("{}", true, "e30="),
            ("{ }", true, "eyB9"),
            ("{  }", true, "eyAgfQ=="),
        ] {
            let rules = IssuerRules {
                name: "iss".into(),
                payload: Some(PayloadHeader {
                    name: "X-Payload".to_owned(),
                    pad,
                }),
            };
            let (name, value) = rules.payload_header(payload).unwrap();
            assert_eq!((name.as_str(), value.as_str()), ("x-payload", expected));
        }
    }
}

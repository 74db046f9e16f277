use std::sync::Arc;

use super::ClaimHeader;
use crate::binding::{BindingError, Confirmation, Presented, check_binding};
use crate::principal::Principal;
use crate::verify::Verified;
use serde_json::Value;

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
    headers: Arc<[(String, String)]>,
    confirmation: Option<Confirmation>,
    /// Whether the token has to be bound.
    constrained: bool,
}

impl Identity {
    pub(super) fn new(verified: &Verified, claim_headers: &[ClaimHeader]) -> Self {
        let principal = Principal::from_verified(verified);
        let [subject, principal_type, roles, scopes] = IDENTITY_HEADERS;
        let join = |parts: Vec<&str>, separator: &str| parts.join(separator);
        let own = [
            (subject, principal.id().to_owned()),
            (principal_type, principal.principal_type().name().to_owned()),
            (roles, join(principal.roles().collect(), ",")),
            (scopes, join(principal.scopes().collect(), " ")),
        ];
        let claims = claim_headers.iter().filter_map(|mapping| {
            let value = verified.claims().all().get(&mapping.claim)?;
            Some((mapping.header.as_str(), claim_text(value)?))
        });
        let headers = own
            .into_iter()
            .chain(claims)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), header_value(&value)))
            .collect();
        Self {
            principal,
            headers,
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

    /// The principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Names (lower case) and values of the headers to hand on.
    pub fn headers(&self) -> &Arc<[(String, String)]> {
        &self.headers
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
}

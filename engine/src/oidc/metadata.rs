use serde_json::{Map, Value};
use thiserror::Error;

use crate::jose::{Algorithm, Limits, parse_object};

/// Providers list everything they can do: more than any token has.
const MEMBERS: usize = 4096;

/// What is needed of a provider's metadata (OpenID Connect Discovery section 3). That the URLs may
/// be used is the shell's to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// `jwks_uri`.
    pub jwks_uri: String,
    /// `introspection_endpoint` (RFC 8414 section 2), where there is one.
    pub introspection_endpoint: Option<String>,
}

/// A provider's metadata cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MetadataError {
    /// Not a JSON object.
    #[error("it is no JSON object: {0}")]
    Json(String),
    /// A member is absent or of another type.
    #[error("its `{0}` is missing or has the wrong type")]
    Member(&'static str),
    /// It is another issuer's (OpenID Connect Discovery section 4.3).
    #[error("its issuer is `{found}`, configured is `{configured}`")]
    Issuer {
        /// As the document has it.
        found: String,
        /// As configured.
        configured: String,
    },
    /// ID tokens would be signed with nothing that is verified.
    #[error("`id_token_signing_alg_values_supported` has no algorithm that is supported here")]
    Algorithms,
}

impl ProviderMetadata {
    /// Reads the metadata of `issuer`, which has to be exactly the document's own.
    ///
    /// # Errors
    /// [`MetadataError`].
    ///
    /// ```
    /// use tokensmith_engine::jose::Limits;
    /// use tokensmith_engine::oidc::ProviderMetadata;
    /// let text = br#"{"issuer": "https://idp.example", "jwks_uri": "https://idp.example/jwks"}"#;
    /// let limits = Limits::default();
    /// let metadata = ProviderMetadata::parse(text, "https://idp.example", &limits).unwrap();
    /// assert_eq!(metadata.jwks_uri, "https://idp.example/jwks");
    /// assert!(ProviderMetadata::parse(text, "https://idp.example/", &limits).is_err());
    /// ```
    pub fn parse(document: &[u8], issuer: &str, limits: &Limits) -> Result<Self, MetadataError> {
        let limits = Limits {
            members: MEMBERS,
            ..limits.clone()
        };
        let members = parse_object(document, &limits).map_err(MetadataError::Json)?;
        let found = text(&members, "issuer")?.ok_or(MetadataError::Member("issuer"))?;
        if found != issuer {
            return Err(MetadataError::Issuer {
                found: found.chars().take(256).collect(),
                configured: issuer.to_owned(),
            });
        }
        check_algorithms(&members)?;
        Ok(Self {
            jwks_uri: text(&members, "jwks_uri")?
                .ok_or(MetadataError::Member("jwks_uri"))?
                .to_owned(),
            introspection_endpoint: text(&members, "introspection_endpoint")?.map(str::to_owned),
        })
    }
}

fn text<'m>(
    members: &'m Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'m str>, MetadataError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(MetadataError::Member(name)),
    }
}

/// The list is required, and left out by small providers: then the tokens' own headers say it.
fn check_algorithms(members: &Map<String, Value>) -> Result<(), MetadataError> {
    const NAME: &str = "id_token_signing_alg_values_supported";
    let Some(list) = members.get(NAME) else {
        return Ok(());
    };
    let list = list.as_array().ok_or(MetadataError::Member(NAME))?;
    let supported = |value: &Value| {
        value
            .as_str()
            .is_some_and(|name| Algorithm::from_name(name).is_ok())
    };
    if list.iter().any(supported) {
        Ok(())
    } else {
        Err(MetadataError::Algorithms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_needed_has_to_be_there() {
        let good = json!({
            "issuer": "https://idp.example", "jwks_uri": "https://idp.example/jwks",
            "id_token_signing_alg_values_supported": ["none", "RS256"],
            "scopes_supported": ["openid"],
        });
        for (change, good_to_use) in [
            (json!({}), true),
            (
                json!({"introspection_endpoint": "https://idp.example/introspect"}),
                true,
            ),
            (json!({"introspection_endpoint": 7}), false),
            (json!({"issuer": "https://idp.example/"}), false),
            (json!({"issuer": null}), false),
            (json!({"jwks_uri": ""}), false),
            (json!({"jwks_uri": null}), false),
            (
                json!({"id_token_signing_alg_values_supported": ["HS256", "none"]}),
                false,
            ),
            (json!({"id_token_signing_alg_values_supported": []}), false),
            (
                json!({"id_token_signing_alg_values_supported": "RS256"}),
                false,
            ),
        ] {
            let mut document = good.clone();
            for (name, value) in change.as_object().unwrap() {
                document[name] = value.clone();
            }
            let parsed = ProviderMetadata::parse(
                document.to_string().as_bytes(),
                "https://idp.example",
                &Limits::default(),
            );
            assert_eq!(parsed.is_ok(), good_to_use, "{change} {parsed:?}");
        }
    }
}

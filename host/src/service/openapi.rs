use serde_json::{Map, Value, json};

use super::public_documents::PublicDocument;

/// Of the public endpoints; a test holds it to [`super::router`] and to what they answer.
const DOCUMENT: &str = include_str!("openapi.json");

/// The description of the public endpoints (OpenAPI 3.1) as the service at `issuer` publishes it.
pub(super) fn document(issuer: &str) -> PublicDocument {
    // It is a part of this program, and tests read it: nothing is lost by the default.
    let mut document: Map<String, Value> = serde_json::from_str(DOCUMENT).unwrap_or_default();
    let url = issuer.trim_end_matches('/');
    document.insert("servers".to_owned(), json!([{ "url": url }]));
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    }
    PublicDocument::new(&Value::Object(document))
}

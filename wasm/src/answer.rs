use serde_json::json;
use tokensmith_engine::principal::Principal;
use tokensmith_engine::verify::Verified;

/// What JavaScript is told of a verified token: a line with `{"header", "principal", "subjects"}`,
/// then the claims as they were signed, all JSON.
pub(crate) fn answer(verified: &Verified) -> String {
    let principal = Principal::from_verified(verified);
    let header = verified.header();
    let about = json!({
        "header": {"alg": header.algorithm.name(), "kid": header.kid, "typ": header.typ},
        "principal": {
            "id": principal.id(),
            "type": principal.principal_type().name(),
            "roles": principal.roles().collect::<Vec<_>>(),
            "scopes": principal.scopes().collect::<Vec<_>>(),
        },
        "subjects": principal.subjects().collect::<Vec<_>>(),
    });
    format!("{about}\n{}", verified.claims().payload())
}

// All of it is generated but for the calls below.
#![allow(unsafe_code, missing_docs)]

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
});

struct Example;

impl Guest for Example {
    fn map_claims(claims: String) -> Result<String, String> {
        crate::map_claims(&claims)
    }

    fn limit_scopes(
        subject: String,
        _audience: Vec<String>,
        scopes: Vec<String>,
        _claims: String,
    ) -> Result<Vec<String>, String> {
        crate::limit_scopes(&subject, scopes)
    }
}

export!(Example);

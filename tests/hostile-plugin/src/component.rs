// All of it is generated but for the calls below.
#![allow(unsafe_code)]

wit_bindgen::generate!({
    path: "../../plugins/wit",
    world: "plugin",
});

struct Hostile;

impl Guest for Hostile {
    fn map_claims(claims: String) -> Result<String, String> {
        crate::map_claims(&claims)
    }

    fn limit_scopes(
        _subject: String,
        _audience: Vec<String>,
        scopes: Vec<String>,
        claims: String,
    ) -> Result<Vec<String>, String> {
        crate::limit_scopes(scopes, &claims)
    }
}

export!(Hostile);

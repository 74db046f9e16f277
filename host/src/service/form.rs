use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};

use super::oauth_error::OauthError;

/// The parameters of a request, none of them twice (RFC 6749 section 3.2).
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a form-encoded body.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn read(
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, OauthError> {
        let body = body.map_err(|error| {
            OauthError::new(error.status(), "invalid_request", error.body_text())
        })?;
        let form = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !form {
            return Err(OauthError::invalid_request(
                "the content type has to be `application/x-www-form-urlencoded`",
            ));
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if parameters
                .insert(name.clone().into_owned(), value.into_owned())
                .is_some()
            {
                return Err(OauthError::invalid_request(format!(
                    "parameter `{}` is given twice",
                    name.chars().take(64).collect::<String>()
                )));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter that has to be there. An empty one is none (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn required(&self, name: &str) -> Result<&str, OauthError> {
        self.0
            .get(name)
            .filter(|value| !value.is_empty())
            .map(String::as_str)
            .ok_or_else(|| OauthError::invalid_request(format!("parameter `{name}` is missing")))
    }
}

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};

use super::Narrowing;
use super::oauth_error::OauthError;

/// Parameters that may be given several times (RFC 8693 section 2.1).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// The parameters of a request, none of them twice (RFC 6749 section 3.2) but [`REPEATABLE`].
pub(super) struct Form(HashMap<String, Vec<String>>);

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
        let mut parameters: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in form_urlencoded::parse(&body) {
            let values = parameters.entry(name.clone().into_owned()).or_default();
            if !values.is_empty() && !REPEATABLE.contains(&&*name) {
                return Err(OauthError::invalid_request(format!(
                    "parameter `{}` is given twice",
                    name.chars().take(64).collect::<String>()
                )));
            }
            values.push(value.into_owned());
        }
        Ok(Self(parameters))
    }

    /// A parameter that has to be there. An empty one is none (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn required(&self, name: &str) -> Result<&str, OauthError> {
        self.optional(name)
            .ok_or_else(|| OauthError::invalid_request(format!("parameter `{name}` is missing")))
    }

    /// A parameter that may be there. An empty one is none.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be given several times, without empty ones.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.get(name).into_iter().flatten();
        values.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `audience` and `resource` (RFC 8693 section 2.1).
    pub(super) fn targets(&self) -> Vec<String> {
        let targets = self.all("audience").chain(self.all("resource"));
        targets.map(str::to_owned).collect()
    }

    /// What is asked for of what is granted.
    pub(super) fn narrowing(&self) -> Narrowing {
        Narrowing {
            targets: self.targets(),
            scopes: self.scopes(),
        }
    }

    /// `scope` as a list (RFC 6749 section 3.3); nothing where it is not given.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.optional("scope")?;
        Some(scopes.split_ascii_whitespace().map(str::to_owned).collect())
    }
}

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokensmith_tests::service::{BOOTSTRAP_TOKEN, TOKEN_EXCHANGE};

/// Tokens that several connections take from.
pub(crate) type Supply = Arc<Mutex<VecDeque<String>>>;

/// What one connection asks, one request after the other.
pub(crate) trait Requests: Send {
    /// Writes the next request into `request`, which is empty. Says whether there is one.
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool;

    /// Hears the answer before the next request.
    ///
    /// # Errors
    /// When it is not the one expected.
    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String>;
}

/// Reads one document again and again.
pub(crate) struct Get {
    path: String,
}

/// Redeems bootstrap tokens.
pub(crate) struct Redeem {
    /// Each is used once.
    pub(crate) tokens: Supply,
    /// Where the refresh tokens go.
    pub(crate) refresh_tokens: Supply,
}

/// Uses refresh tokens, and the ones that come for them.
pub(crate) struct Rotate {
    pub(crate) tokens: Supply,
}

/// Exchanges ID tokens.
pub(crate) struct Exchange {
    /// Each is used once.
    pub(crate) tokens: Supply,
}

impl Get {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

impl Requests for Get {
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool {
        let head = format!("GET {} HTTP/1.1\r\nhost: test\r\n\r\n", self.path);
        request.extend_from_slice(head.as_bytes());
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        good(status, body)
    }
}

impl Requests for Redeem {
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool {
        let token = take(&self.tokens);
        if let Some(token) = &token {
            redeem(request, token);
        }
        token.is_some()
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        good(status, body)?;
        give(&self.refresh_tokens, member(body, "refresh_token")?);
        Ok(())
    }
}

impl Requests for Rotate {
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool {
        let token = take(&self.tokens);
        if let Some(token) = &token {
            rotate(request, token);
        }
        token.is_some()
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        good(status, body)?;
        give(&self.tokens, member(body, "refresh_token")?);
        Ok(())
    }
}

impl Requests for Exchange {
    fn write_next(&mut self, request: &mut Vec<u8>) -> bool {
        let token = take(&self.tokens);
        if let Some(token) = &token {
            let head = format!(
                "POST /oauth/exchange HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
                 content-length: 0\r\n\r\n"
            );
            request.extend_from_slice(head.as_bytes());
        }
        token.is_some()
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        good(status, body)?;
        member(body, "access_token").map(drop)
    }
}

/// The request that redeems a bootstrap token.
pub(crate) fn redeem(request: &mut Vec<u8>, token: &str) {
    form(
        request,
        "/oauth/token",
        "",
        &[
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token_type", BOOTSTRAP_TOKEN),
            ("subject_token", token),
        ],
    );
}

/// The request that uses a refresh token.
pub(crate) fn rotate(request: &mut Vec<u8>, token: &str) {
    form(
        request,
        "/oauth/token",
        "",
        &[("grant_type", "refresh_token"), ("refresh_token", token)],
    );
}

/// The request that asks about a token, with the caller's own.
pub(crate) fn introspect(request: &mut Vec<u8>, own: &str, token: &str) {
    let header = format!("authorization: Bearer {own}\r\n");
    form(request, "/oauth/introspect", &header, &[("token", token)]);
}

/// Says what was answered when it was not 200.
///
/// # Errors
/// The status and the body.
pub(crate) fn good(status: u16, body: &[u8]) -> Result<(), String> {
    if status == 200 {
        return Ok(());
    }
    Err(format!("{status} `{}`", String::from_utf8_lossy(body)))
}

/// The text of a JSON member that needs no escapes, found without reading all of the answer: the
/// load has to be faster than the service.
///
/// # Errors
/// When there is none.
pub(crate) fn member(body: &[u8], name: &str) -> Result<String, String> {
    let text = String::from_utf8_lossy(body);
    let start = format!("\"{name}\":\"");
    text.split_once(&start)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(value, _)| value.to_owned())
        .ok_or_else(|| format!("no `{name}` in `{text}`"))
}

/// Takes the oldest token.
pub(crate) fn take(supply: &Supply) -> Option<String> {
    supply.lock().unwrap().pop_front()
}

/// Puts a token behind the others.
pub(crate) fn give(supply: &Supply, token: String) {
    supply.lock().unwrap().push_back(token);
}

fn form(request: &mut Vec<u8>, target: &str, headers: &str, parameters: &[(&str, &str)]) {
    // The values have no character that a form would escape but `:`.
    let body = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(':', "%3A")))
        .collect::<Vec<_>>()
        .join("&");
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: test\r\n{headers}\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(body.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members() {
        let body = br#"{"refresh_expires_in":1,"refresh_token":"a-b_c","scope":"read"}"#;
        assert_eq!(member(body, "refresh_token").unwrap(), "a-b_c");
        assert_eq!(member(body, "scope").unwrap(), "read");
        assert!(member(body, "access_token").is_err());
    }

    #[test]
    fn forms() {
        let mut request = Vec::new();
        form(
            &mut request,
            "/t",
            "a: b\r\n",
            &[("x", "urn:y"), ("z", "1")],
        );
        let text = String::from_utf8(request).unwrap();
        assert!(
            text.starts_with("POST /t HTTP/1.1\r\nhost: test\r\na: b\r\n"),
            "{text}"
        );
        assert!(
            text.ends_with("content-length: 13\r\n\r\nx=urn%3Ay&z=1"),
            "{text}"
        );
    }
}

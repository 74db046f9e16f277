use std::time::Duration;

use serde::Deserialize;

use crate::{AccessToken, ClientError, Secret};

/// A longer life is taken for this one, in seconds: a hundred years.
const LONGEST: u64 = 100 * 365 * 24 * 3600;

/// What a token endpoint granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) access: AccessToken,
    pub(crate) refresh: Option<RefreshToken>,
}

/// A refresh token, and when it ends, since 1970.
#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) text: Secret,
    pub(crate) expires: Duration,
}

/// Reads the answer of a token endpoint to a request that was sent at `asked`, since 1970.
///
/// # Errors
/// [`ClientError::Refused`] (RFC 6749 section 5.2) and [`ClientError::Answer`].
pub(crate) fn read(
    url: &str,
    status: u16,
    retry_after: Option<&str>,
    body: &[u8],
    asked: Duration,
) -> Result<Granted, ClientError> {
    if status != 200 {
        return Err(refused(url, status, retry_after, body));
    }
    let malformed = |reason: String| ClientError::Answer {
        url: url.to_owned(),
        reason,
    };
    // The parser's message would quote what may be a secret.
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| malformed("not the JSON of RFC 6749".to_owned()))?;
    if !answer.token_type.eq_ignore_ascii_case("Bearer") {
        let kind = answer.token_type.chars().take(32).collect::<String>();
        return Err(malformed(format!("its type is `{kind}`, not `Bearer`")));
    }
    if answer.expires_in == 0 {
        return Err(malformed("it has ended already".to_owned()));
    }
    let after = |seconds: u64| asked.saturating_add(Duration::from_secs(seconds.min(LONGEST)));
    let access = Secret::new(answer.access_token);
    if access.is_empty() {
        return Err(malformed("`access_token` is empty".to_owned()));
    }
    let scope = answer.scope.unwrap_or_default();
    let access = AccessToken::new(access, asked, after(answer.expires_in), scope)
        .ok_or_else(|| malformed("`access_token` has a character no header can hold".to_owned()))?;
    let refresh = answer
        .refresh_token
        .map(Secret::new)
        .filter(|text| !text.is_empty())
        .map(|text| RefreshToken {
            text,
            // A service that does not say has tokens that end when it says so.
            expires: answer.refresh_expires_in.map_or(Duration::MAX, after),
        });
    Ok(Granted { access, refresh })
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: u64,
    refresh_token: Option<String>,
    refresh_expires_in: Option<u64>,
    scope: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
    code: Option<String>,
}

fn refused(url: &str, status: u16, retry_after: Option<&str>, body: &[u8]) -> ClientError {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let shortened = |text: &str| text.chars().take(256).collect::<String>();
    ClientError::Refused {
        url: url.to_owned(),
        status,
        error: match refusal.error.as_str() {
            "" => "no OAuth error".to_owned(),
            error => shortened(error),
        },
        description: shortened(&refusal.error_description),
        service_code: refusal.code.as_deref().map(shortened),
        retry_after: retry_after
            .and_then(|value| value.trim().parse().ok())
            .map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn read_body(status: u16, body: &str) -> Result<Granted, ClientError> {
        read("u", status, Some("7"), body.as_bytes(), NOW)
    }

    #[test]
    fn tokens_are_read() {
        let body = r#"{"access_token":"a.b.c","token_type":"bearer","expires_in":60,
            "refresh_token":"r","refresh_expires_in":600,"scope":"read write","more":1}"#;
        let granted = read_body(200, body).unwrap();
        assert_eq!(granted.access.expose(), "a.b.c");
        assert_eq!(granted.access.authorization(), "Bearer a.b.c");
        assert!(granted.access.authorization().is_sensitive());
        assert_eq!(granted.access.expires(), Duration::from_secs(1060));
        assert_eq!(granted.access.scope(), "read write");
        let refresh = granted.refresh.unwrap();
        assert_eq!(refresh.text.expose(), "r");
        assert_eq!(refresh.expires, Duration::from_secs(1600));
    }

    #[test]
    fn no_life_is_too_long() {
        let endless = u64::MAX;
        let body = format!(
            r#"{{"access_token":"a","token_type":"Bearer","expires_in":{endless},
            "refresh_token":"r","refresh_expires_in":{endless}}}"#
        );
        let granted = read_body(200, &body).unwrap();
        assert!(granted.access.expires_at() > std::time::UNIX_EPOCH);
        assert!(granted.refresh.unwrap().expires < Duration::MAX);
    }

    #[test]
    fn nothing_else_is_a_token_and_no_message_has_one() {
        let bodies = [
            "",
            "{}",
            "<html>",
            r#"{"access_token":"s3cret","token_type":"DPoP","expires_in":60}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":0}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":-1}"#,
            r#"{"access_token":" ","token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":"s3cret\n1","token_type":"Bearer","expires_in":60}"#,
            r#"{"access_token":["s3cret"],"token_type":"Bearer","expires_in":60}"#,
        ];
        for body in bodies {
            let error = read_body(200, body).unwrap_err();
            assert_eq!(error.code(), "client_answer", "{body}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn refusals_keep_what_the_service_says() {
        let body = r#"{"error":"invalid_grant","error_description":"used","code":"x"}"#;
        let error = read_body(400, body).unwrap_err();
        assert!(error.is_invalid_grant());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(error.to_string(), "`u` answers 400: invalid_grant: used");
        let error = read_body(502, "<html>").unwrap_err();
        assert!(error.is_temporary());
        assert_eq!(error.to_string(), "`u` answers 502: no OAuth error: ");
    }
}

use axum::http::{HeaderMap, header};

use super::oauth_error::OauthError;

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1); `what` it is, for the caller.
///
/// # Errors
/// 401 `missing_token` or `invalid_token`, 400 for several headers.
pub(super) fn bearer<'h>(headers: &'h HeaderMap, what: &str) -> Result<&'h str, OauthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| {
        OauthError::unauthorized(
            "missing_token",
            format!("no {what}: send `Authorization: Bearer <{what}>`"),
        )
    })?;
    if values.next().is_some() {
        return Err(OauthError::invalid_request("several authorization headers"));
    }
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            OauthError::unauthorized(
                "invalid_token",
                format!("the authorization header is not `Bearer <{what}>`"),
            )
        })
}

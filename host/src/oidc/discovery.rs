use std::net::IpAddr;

use reqwest::Url;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::oidc::ProviderMetadata;

use super::{OidcError, http_get};

/// Checks that the provider may be asked at `text`, its issuer: https, or http on this machine, or
/// http where the operator allowed it.
pub(super) fn check_url(text: &str, allow_http: bool) -> Result<(), OidcError> {
    let url = parse(text)?;
    if url.query().is_some() {
        return Err(wrong(text, "it has a query or fragment"));
    }
    check_scheme(text, &url, allow_http)
}

/// Checks a URL in the metadata of `issuer`. It may have a query, and be http on this machine only
/// where the issuer is on it too: who is elsewhere does not say what is called here.
fn check_endpoint(text: &str, issuer: &str, allow_http: bool) -> Result<(), OidcError> {
    let url = parse(text)?;
    let near = parse(issuer).is_ok_and(|issuer| is_local(&issuer));
    if url.scheme() == "http" && is_local(&url) && !near {
        return Err(wrong(text, "it is on this machine, and the issuer is not"));
    }
    check_scheme(text, &url, allow_http)
}

/// A URL without user information and fragment.
fn parse(text: &str) -> Result<Url, OidcError> {
    let url = Url::parse(text).map_err(|_| wrong(text, "not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(text, "it holds a user name or password"));
    }
    if url.fragment().is_some() {
        return Err(wrong(text, "it has a query or fragment"));
    }
    Ok(url)
}

fn check_scheme(text: &str, url: &Url, allow_http: bool) -> Result<(), OidcError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if allow_http || is_local(url) => Ok(()),
        "http" => Err(wrong(
            text,
            "http is only for this machine: use https, or give `--oidc-allow-http`",
        )),
        _ => Err(wrong(text, "its scheme is not https")),
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        Err(_) => host.trim_end_matches('.') == "localhost",
    }
}

fn wrong(text: &str, reason: &'static str) -> OidcError {
    OidcError::Url {
        url: text.chars().take(512).collect(),
        reason,
    }
}

/// The document's URL (OpenID Connect Discovery section 4).
pub(super) fn document_url(issuer: &str) -> String {
    format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    )
}

/// Fetches the metadata of `issuer` and checks the URLs in it.
pub(super) async fn metadata(
    client: &reqwest::Client,
    issuer: &str,
    allow_http: bool,
) -> Result<ProviderMetadata, OidcError> {
    let url = document_url(issuer);
    let document = http_get::get(client, &url, None).await?;
    let wrong = |reason: String| OidcError::Discovery {
        url: url.clone(),
        reason,
    };
    if document.status != 200 {
        return Err(wrong(format!("status {}", document.status)));
    }
    let metadata = ProviderMetadata::parse(&document.body, issuer, &Limits::default())
        .map_err(|error| wrong(error.to_string()))?;
    check_endpoint(&metadata.jwks_uri, issuer, allow_http)?;
    if let Some(endpoint) = &metadata.introspection_endpoint {
        check_endpoint(endpoint, issuer, allow_http)?;
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_urls() {
        for (url, allow_http, good) in [
            ("https://idp.example", false, true),
            ("https://idp.example/realms/x", false, true),
            ("http://127.0.0.1:4444", false, true),
            ("http://localhost:4444", false, true),
            ("http://hydra:4444", false, false),
            ("http://hydra:4444", true, true),
            ("http://localhost.example", false, false),
            ("ftp://localhost", true, false),
            ("https://user@idp.example", false, false),
            ("https://idp.example?x=1", false, false),
            ("idp.example", false, false),
        ] {
            assert_eq!(check_url(url, allow_http).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn endpoints_follow_their_issuer() {
        let (far, near) = ("https://idp.example", "http://localhost:4444");
        for (url, issuer, allow_http, good) in [
            ("https://idp.example/keys?appid=1", far, false, true),
            ("https://keys.example", far, false, true),
            ("https://idp.example/keys#a", far, false, false),
            ("https://user@idp.example/keys", far, false, false),
            ("http://127.0.0.1:8080/keys", near, false, true),
            ("http://keys.example", near, false, false),
            ("http://keys.example", far, true, true),
            ("http://127.0.0.1/keys", far, false, false),
            ("http://127.0.0.1/keys", far, true, false),
            ("http://127.0.0.2/keys", far, true, false),
            ("http://[::1]/keys", far, true, false),
            ("http://[::ffff:127.0.0.1]/keys", far, true, false),
            ("http://0.0.0.0/keys", far, true, false),
            ("http://localhost./keys", far, true, false),
        ] {
            let found = check_endpoint(url, issuer, allow_http);
            assert_eq!(found.is_ok(), good, "{url} of {issuer}: {found:?}");
        }
    }
}

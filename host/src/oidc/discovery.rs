use reqwest::Url;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::oidc::ProviderMetadata;

use super::{OidcError, http_get};

/// Checks that the provider may be asked at `text`: https, or http on this machine, or http where
/// the operator allowed it.
pub(super) fn check_url(text: &str, allow_http: bool) -> Result<(), OidcError> {
    let wrong = |reason| OidcError::Url {
        url: text.chars().take(512).collect(),
        reason,
    };
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or fragment"));
    }
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(()),
        "http" if local || allow_http => Ok(()),
        "http" => Err(wrong(
            "http is only for this machine: use https, or give `--oidc-allow-http`",
        )),
        _ => Err(wrong("its scheme is not https")),
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
    check_url(&metadata.jwks_uri, allow_http)?;
    if let Some(endpoint) = &metadata.introspection_endpoint {
        check_url(endpoint, allow_http)?;
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
}

use std::path::PathBuf;
use std::time::Duration;

use super::ClientSecret;

/// Which provider, and which of its clients the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcClient {
    /// The provider's issuer, exactly as in its tokens.
    pub issuer: String,
    /// The client that tokens are issued to: `aud` of ID tokens.
    pub client_id: String,
}

/// How to deal with a provider, whichever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcOptions {
    /// Whether plain http is allowed to another machine.
    pub allow_http: bool,
    /// A PEM file of authorities that its certificate may be of, beside the system's.
    pub authorities: Option<PathBuf>,
    /// The longest a request to the provider may take.
    pub timeout: Duration,
    /// The client's secret; without, opaque access tokens cannot be introspected.
    pub client_secret: Option<ClientSecret>,
    /// Audiences of access tokens that are exchanged, beside the client's id.
    pub access_token_audiences: Vec<String>,
}

impl Default for OidcOptions {
    fn default() -> Self {
        Self {
            allow_http: false,
            authorities: None,
            timeout: Duration::from_secs(5),
            client_secret: None,
            access_token_audiences: Vec::new(),
        }
    }
}

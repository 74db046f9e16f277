use std::time::Duration;

use super::{CliError, runtime};
use crate::oidc;

/// A JWK set: reads a file, or fetches what is a URL.
pub(super) fn jwks(name: &str) -> Result<Vec<u8>, CliError> {
    if !name.starts_with("https://") && !name.starts_with("http://") {
        return std::fs::read(name)
            .map_err(|error| CliError::Usage(format!("cannot read JWK set `{name}`: {error}")));
    }
    Ok(runtime()?.block_on(oidc::fetch_document(name, Duration::from_secs(10)))?)
}

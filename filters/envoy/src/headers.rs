use proxy_wasm::hostcalls;
use proxy_wasm::types::{MapType, Status};
use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::decide::{Decider, Outcome};

// The whole map in one call would be read by `proxy_wasm`, which panics on one that is not well
// formed and makes two allocations for each header of the request.

/// What a decision needs of a request's headers.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) scheme: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) dpop: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) access_control_request_method: Option<String>,
    pub(crate) others: Vec<(String, String)>,
}

impl Headers {
    /// Reads what `decider` needs; each is a call to the host. `None` when one fails.
    pub(crate) fn read(decider: &Decider) -> Option<Self> {
        let mut headers = Self {
            method: header(":method")?.unwrap_or_default(),
            target: header(":path")?.unwrap_or_default(),
            authorization: header("authorization")?,
            request_id: header("x-request-id")?,
            ..Self::default()
        };
        // Only a token that comes with a proof needs these.
        let proof = headers
            .authorization
            .as_deref()
            .is_some_and(|value| !value.trim_start().starts_with("Bearer "));
        if proof {
            headers.scheme = header(":scheme")?;
            headers.dpop = joined("dpop")?;
        }
        if proof || decider.reads_authority() {
            headers.authority = header(":authority")?;
        }
        if headers.method == "OPTIONS" && decider.reads_preflight() {
            headers.origin = header("origin")?;
            headers.access_control_request_method = header("access-control-request-method")?;
        }
        for name in decider.reads_headers() {
            if let Some(value) = joined(name)? {
                headers.others.push((name.clone(), value));
            }
        }
        Some(headers)
    }
}

/// Whether the request came with one of the headers `names`, or cannot be read.
pub(crate) fn has_any(names: &[String]) -> bool {
    names
        .iter()
        .any(|name| header(name).is_none_or(|value| value.is_some()))
}

/// Makes the changes that `outcome` asks for.
pub(crate) fn change(outcome: &Outcome<'_>) -> Result<(), Status> {
    for (name, value) in outcome.header_edits() {
        match value {
            // Setting replaces every copy that came in.
            Some(value) => {
                hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value))?;
            }
            None => hostcalls::remove_map_value(MapType::HttpRequestHeaders, name)?,
        }
    }
    if let Some(target) = &outcome.target {
        hostcalls::set_map_value(MapType::HttpRequestHeaders, ":path", Some(target))?;
    }
    Ok(())
}

/// The client certificate of the connection, if Envoy asked for one and it is verified.
pub(crate) fn peer_certificate() -> Option<CertificateThumbprint> {
    let property = |name: &str| {
        hostcalls::get_property(vec!["connection", name])
            .ok()
            .flatten()
    };
    // A digest without mutual TLS is of a certificate that nobody has checked.
    if property("mtls")? != [1] {
        return None;
    }
    let digest = property("sha256_peer_certificate_digest")?;
    CertificateThumbprint::from_hex(str::from_utf8(&digest).ok()?)
}

/// `None` when the header cannot be read; bytes that are not UTF-8 are replaced, so that they
/// match nothing.
fn header(name: &str) -> Option<Option<String>> {
    let value = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok()?;
    Some(value.map(text))
}

/// As [`header`], with all copies joined by `,`: Envoy joins those of `authorization` by itself
/// and gives only the first of the others.
fn joined(name: &str) -> Option<Option<String>> {
    match hostcalls::get_property(vec!["request", "headers", name]).ok()? {
        Some(value) => Some(Some(text(value))),
        // Other hosts than Envoy may not know the property.
        None => header(name),
    }
}

fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

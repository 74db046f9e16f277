use std::borrow::Cow;

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::{Extensions, Method, Uri};
use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::decide::{Request, RouteOverride};

const DPOP: HeaderName = HeaderName::from_static("dpop");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client certificate of a connection. Whoever accepts TLS connections puts it into the
/// extensions of their requests: tokens that are bound to a certificate need it (RFC 8705).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub CertificateThumbprint);

impl PeerCertificate {
    /// Of a certificate in DER, as rustls gives the first of a connection's.
    pub fn of_der(certificate: &[u8]) -> Self {
        Self(CertificateThumbprint::of_der(certificate))
    }
}

/// What a configuration reads of requests beyond method, target and token.
#[derive(Debug)]
pub(crate) struct Needs {
    /// Names of headers, in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) authority: bool,
    pub(crate) preflight: bool,
    /// What callers use, where it is not the URI's.
    pub(crate) scheme: Option<&'static str>,
}

/// What a decision reads of a request.
pub(crate) struct Head<'h> {
    method: &'h str,
    target: &'h str,
    pub(crate) authorization: Option<Cow<'h, str>>,
    request_id: Option<&'h str>,
    scheme: &'h str,
    authority: Cow<'h, str>,
    pub(crate) dpop: Option<Cow<'h, str>>,
    certificate: Option<CertificateThumbprint>,
    origin: Option<&'h str>,
    access_control_request_method: Option<&'h str>,
    /// Those of [`Needs::headers`].
    headers: Vec<(&'h str, &'h str)>,
}

/// Where a request's head is: what came in, where layers before have changed that.
#[derive(Clone, Copy)]
pub(crate) struct Source<'h> {
    pub(crate) method: &'h Method,
    pub(crate) uri: &'h Uri,
    pub(crate) headers: &'h HeaderMap,
    pub(crate) extensions: &'h Extensions,
}

impl<'h> Source<'h> {
    pub(crate) fn of(parts: &'h Parts) -> Self {
        Self {
            method: &parts.method,
            uri: original_uri(&parts.extensions).unwrap_or(&parts.uri),
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

impl<'h> Head<'h> {
    pub(crate) fn read(source: Source<'h>, needs: &'h Needs) -> Self {
        let Source {
            method,
            uri,
            headers,
            extensions,
        } = source;
        let dpop = joined(headers, DPOP);
        let preflight = needs.preflight && method == Method::OPTIONS;
        let authority = if dpop.is_some() || needs.authority {
            match uri.authority() {
                Some(authority) => Cow::Borrowed(authority.as_str()),
                None => joined(headers, HOST).unwrap_or_default(),
            }
        } else {
            Cow::Borrowed("")
        };
        let first = |name: HeaderName| headers.get(name).map(text);
        Self {
            method: method.as_str(),
            target: uri.path_and_query().map_or("", |target| target.as_str()),
            authorization: joined(headers, AUTHORIZATION),
            request_id: first(X_REQUEST_ID),
            scheme: needs.scheme.or_else(|| uri.scheme_str()).unwrap_or("http"),
            authority,
            dpop,
            certificate: extensions
                .get::<PeerCertificate>()
                .map(|certificate| certificate.0),
            origin: preflight.then(|| first(ORIGIN)).flatten(),
            access_control_request_method: preflight
                .then(|| first(ACCESS_CONTROL_REQUEST_METHOD))
                .flatten(),
            headers: needs
                .headers
                .iter()
                .flat_map(|name| {
                    let values = headers.get_all(name.as_str()).iter();
                    values.map(move |value| (name.as_str(), text(value)))
                })
                .collect(),
        }
    }

    pub(crate) fn request<'r>(&'r self, route_override: Option<&'r RouteOverride>) -> Request<'r> {
        Request {
            method: self.method,
            target: self.target,
            authorization: self.authorization.as_deref(),
            request_id: self.request_id,
            scheme: self.scheme,
            authority: &self.authority,
            dpop: self.dpop.as_deref(),
            certificate: self.certificate,
            origin: self.origin,
            access_control_request_method: self.access_control_request_method,
            headers: &self.headers,
            route_override,
        }
    }
}

/// Several headers of one name, joined as proxies do: the result is no token and no proof.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(name).iter().map(text);
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(Cow::Borrowed(first));
    };
    let mut all = format!("{first},{second}");
    for value in values {
        all.push(',');
        all.push_str(value);
    }
    Some(Cow::Owned(all))
}

/// What is no text matches nothing.
fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}")
}

/// The URI before nested routers cut off their part of it.
#[cfg(feature = "axum")]
fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions
        .get::<axum::extract::OriginalUri>()
        .map(|original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn original_uri(_extensions: &Extensions) -> Option<&Uri> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_occur_twice_are_joined() {
        let mut headers = HeaderMap::new();
        assert_eq!(joined(&headers, AUTHORIZATION), None);
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(joined(&headers, AUTHORIZATION).unwrap(), "Bearer a");
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(
            joined(&headers, AUTHORIZATION).unwrap(),
            "Bearer a,Bearer b,\u{fffd}"
        );
    }
}

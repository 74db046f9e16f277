use super::RouteOverride;
use super::routes::host_of;
use crate::binding::{CertificateThumbprint, Scheme};

/// The parts of an HTTP request that a decision looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// The method as received.
    pub method: &'r str,
    /// The request target in origin form: path and query as received.
    pub target: &'r str,
    /// The `Authorization` header. Several are no header at all: the shell joins them, and
    /// the result is no token.
    pub authorization: Option<&'r str>,
    /// The request's id, to be repeated in records and deny bodies.
    pub request_id: Option<&'r str>,
    /// `http` or `https`, as the caller sent the request.
    pub scheme: &'r str,
    /// The host the caller addressed, with its port if that is not the scheme's own; empty if it
    /// is not known. Needed for proofs, and where [`super::Decider::reads_authority`].
    pub authority: &'r str,
    /// The `DPoP` header. Several joined are no proof.
    pub dpop: Option<&'r str>,
    /// The client certificate of the connection, if it is known beforehand.
    pub certificate: Option<CertificateThumbprint>,
    /// The `Origin` header; needed where [`super::Decider::reads_preflight`], as the next.
    pub origin: Option<&'r str>,
    /// The `Access-Control-Request-Method` header.
    pub access_control_request_method: Option<&'r str>,
    /// Further headers, names and values: at least those of [`super::Decider::reads_headers`],
    /// others do no harm. One that occurs several times is there as often, or joined with `,`:
    /// no token is in it then.
    pub headers: &'r [(&'r str, &'r str)],
    /// What the proxy's route says, where [`super::Decider::reads_route_override`].
    pub route_override: Option<&'r RouteOverride>,
}

impl Request<'_> {
    pub(super) fn uri(&self) -> String {
        // What is no host would end the authority early.
        let authority = match host_of(self.authority) {
            Some(_) => self.authority,
            None => "",
        };
        format!("{}://{authority}{}", self.scheme, self.target)
    }

    /// Whether a browser asks what it may send (a CORS-preflight request of the Fetch standard).
    /// It does so without credentials, so that a token can never be demanded.
    pub(super) fn is_preflight(&self) -> bool {
        let is_given = |header: Option<&str>| header.is_some_and(|value| !value.is_empty());
        self.method == "OPTIONS"
            && is_given(self.origin)
            && is_given(self.access_control_request_method)
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1) or `DPoP <token>` (RFC
/// 9449 section 7.1); the scheme's case does not matter (RFC 9110 section 11.1).
pub(super) fn credentials(value: &str) -> Option<(Scheme, &str)> {
    let (name, token) = value.trim().split_once(' ')?;
    let scheme = if name.eq_ignore_ascii_case("Bearer") {
        Scheme::Bearer
    } else if name.eq_ignore_ascii_case("DPoP") {
        Scheme::Dpop
    } else {
        return None;
    };
    let token = token.trim();
    (!token.is_empty()).then_some((scheme, token))
}

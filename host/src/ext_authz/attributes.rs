use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::decide;

use super::messages::{CheckRequest, HeaderValue, HttpRequest};

/// What a decision needs of a request that a proxy asks about.
#[derive(Debug)]
pub(super) struct Attributes<'c> {
    http: &'c HttpRequest,
    certificate: &'c str,
    authorization: Option<Cow<'c, str>>,
    request_id: Option<Cow<'c, str>>,
    dpop: Option<Cow<'c, str>>,
    origin: Option<Cow<'c, str>>,
    access_control_request_method: Option<Cow<'c, str>>,
}

impl<'c> Attributes<'c> {
    /// `None` where there is no HTTP request.
    pub(super) fn of(request: &'c CheckRequest) -> Option<Self> {
        let attributes = request.attributes.as_ref()?;
        let http = attributes.request.as_ref()?.http.as_ref()?;
        let source = attributes.source.as_ref();
        Some(Self {
            http,
            certificate: source.map_or("", |peer| peer.certificate.as_str()),
            authorization: header(http, "authorization"),
            request_id: header(http, "x-request-id"),
            dpop: header(http, "dpop"),
            origin: header(http, "origin"),
            access_control_request_method: header(http, "access-control-request-method"),
        })
    }

    /// The headers of these names that there are.
    pub(super) fn headers<'n>(&self, names: &'n [String]) -> Vec<(&'n str, Cow<'c, str>)> {
        let named = |name: &'n String| Some((name.as_str(), header(self.http, name)?));
        names.iter().filter_map(named).collect()
    }

    /// With `headers` beside those that every decision takes.
    pub(super) fn request<'a>(&'a self, headers: &'a [(&'a str, &'a str)]) -> decide::Request<'a> {
        decide::Request {
            method: &self.http.method,
            target: &self.http.path,
            authorization: self.authorization.as_deref(),
            request_id: self.request_id.as_deref(),
            scheme: &self.http.scheme,
            authority: &self.http.host,
            dpop: self.dpop.as_deref(),
            certificate: None,
            origin: self.origin.as_deref(),
            access_control_request_method: self.access_control_request_method.as_deref(),
            headers,
            route_override: None,
        }
    }

    /// Of the client certificate of the connection, if it has one and the proxy says so.
    pub(super) fn certificate(&self) -> Option<CertificateThumbprint> {
        let decoded = percent_decode_str(self.certificate).collect::<Vec<u8>>();
        let document = pem::parse(decoded).ok()?;
        (document.tag() == "CERTIFICATE")
            .then(|| CertificateThumbprint::of_der(document.contents()))
    }
}

/// Several headers of one name are joined, as the proxy joins them in `headers`: none of those
/// that are read here may occur twice, so that the result is no token and no proof. Only cookies
/// may be spread over several (RFC 9113 section 8.2.3).
fn header<'c>(http: &'c HttpRequest, name: &str) -> Option<Cow<'c, str>> {
    let Some(map) = &http.header_map else {
        let value = http.headers.get(name)?;
        return Some(Cow::Borrowed(value.as_str()));
    };
    let separator = if name == "cookie" { "; " } else { "," };
    map.headers
        .iter()
        .filter(|own| own.key.eq_ignore_ascii_case(name))
        .map(HeaderValue::text)
        .reduce(|first, next| Cow::Owned(format!("{first}{separator}{next}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::messages::{AttributeContext, HeaderMap, Peer, Request};
    use super::*;

    fn asked(http: HttpRequest, certificate: &str) -> CheckRequest {
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    certificate: certificate.to_owned(),
                }),
                request: Some(Request { http: Some(http) }),
            }),
        }
    }

    fn raw(headers: &[(&str, &[u8])]) -> HttpRequest {
        let headers = headers.iter().map(|(key, value)| HeaderValue {
            key: (*key).to_owned(),
            value: String::new(),
            raw_value: value.to_vec(),
        });
        HttpRequest {
            header_map: Some(HeaderMap {
                headers: headers.collect(),
            }),
            ..HttpRequest::default()
        }
    }

    #[test]
    fn headers_of_both_kinds() {
        let mapped = HttpRequest {
            headers: HashMap::from([("authorization".to_owned(), "Bearer a".to_owned())]),
            method: "GET".to_owned(),
            path: "/x?y".to_owned(),
            host: "h".to_owned(),
            scheme: "https".to_owned(),
            header_map: None,
        };
        let message = asked(mapped, "");
        let attributes = Attributes::of(&message).unwrap();
        let request = attributes.request(&[]);
        assert_eq!(request.authorization, Some("Bearer a"));
        assert_eq!((request.method, request.target), ("GET", "/x?y"));
        assert_eq!((request.scheme, request.authority), ("https", "h"));
        assert_eq!((request.dpop, request.origin), (None, None));
        let raw_token = |value: &'static [u8]| ("Authorization", value);
        let cases = [
            (vec![], None),
            (vec![raw_token(b"Bearer a")], Some("Bearer a")),
            (
                vec![raw_token(b"Bearer a"), raw_token(b"Bearer b")],
                Some("Bearer a,Bearer b"),
            ),
            (vec![raw_token(b"Bearer \xff")], Some("Bearer \u{fffd}")),
        ];
        for (headers, expected) in cases {
            let message = asked(raw(&headers), "");
            let attributes = Attributes::of(&message).unwrap();
            assert_eq!(attributes.request(&[]).authorization, expected);
        }
        assert!(Attributes::of(&CheckRequest::default()).is_none());
        let message = asked(
            raw(&[("Cookie", b"a=1".as_slice()), ("cookie", b"b=2".as_slice())]),
            "",
        );
        let attributes = Attributes::of(&message).unwrap();
        let names = ["cookie", "x-token"].map(str::to_owned);
        let headers = attributes.headers(&names);
        assert_eq!(headers, [("cookie", Cow::Borrowed("a=1; b=2"))]);
    }

    #[test]
    fn certificates_are_percent_encoded_pem() {
        let der = [0x30, 0xfb, 0xef, 0xff];
        let of = |certificate: &str| {
            let message = asked(HttpRequest::default(), certificate);
            Attributes::of(&message).unwrap().certificate()
        };
        // Base64 of the bytes has `+` and `/`.
        let pem = "-----BEGIN%20CERTIFICATE-----%0AMPvv%2Fw%3D%3D%0A-----END%20CERTIFICATE-----%0A";
        assert_eq!(of(pem), Some(CertificateThumbprint::of_der(&der)));
        let key =
            "-----BEGIN%20PRIVATE%20KEY-----%0AMPvv%2Fw%3D%3D%0A-----END%20PRIVATE%20KEY-----%0A";
        for none in ["", "%", "x", key] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}

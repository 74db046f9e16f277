//! The messages of `envoy.service.auth.v3` as far as they are used here; fields that are not
//! named are skipped, as protobuf has it.

use std::borrow::Cow;
use std::collections::HashMap;

use prost_types::Struct;

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckRequest {
    /// What there is to know about the request.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeContext {
    /// Who connected to the proxy.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
}

/// `envoy.service.auth.v3.AttributeContext.Peer`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Peer {
    /// The client certificate of the connection: PEM, percent-encoded; empty without one, and
    /// unless the proxy has `include_peer_certificate`.
    #[prost(string, tag = "5")]
    pub certificate: String,
}

/// `envoy.service.auth.v3.AttributeContext.Request`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// Absent for connections that are not HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// `envoy.service.auth.v3.AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpRequest {
    /// The method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// Headers by names in lower case; several of one name are one, joined by commas.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// Path and query as received.
    #[prost(string, tag = "4")]
    pub path: String,
    /// `Host` or `:authority`.
    #[prost(string, tag = "5")]
    pub host: String,
    /// `http` or `https`.
    #[prost(string, tag = "6")]
    pub scheme: String,
    /// Instead of `headers`, where the proxy has `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderMap {
    /// In order; names may occur several times.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Instead of `value`, where it may be no text.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// `HeaderAppendAction`; [`HeaderValueOption::OVERWRITE`].
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// `envoy.service.auth.v3.CheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckResponse {
    /// Whether the request is allowed. The proxy takes an absent one for `OK`.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What to do with the request, or to answer it with.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
    /// What the proxy's access log and later filters get to know, under the name
    /// `envoy.filters.http.ext_authz`.
    #[prost(message, optional, tag = "4")]
    pub dynamic_metadata: Option<Struct>,
}

/// `http_response` of [`CheckResponse`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum HttpResponse {
    /// The answer to a request that is not handed on.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// Changes to a request that is.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// `google.rpc.Code`; 0 is `OK`.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `envoy.service.auth.v3.DeniedHttpResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeniedHttpResponse {
    /// The status; 403 without.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Headers of the answer.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Its body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// `envoy.type.v3.HttpStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpStatus {
    /// The status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `envoy.service.auth.v3.OkHttpResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OkHttpResponse {
    /// Headers to set in the request.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Headers to remove from it, after those are set.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

impl HeaderValue {
    /// The value; bytes that are not UTF-8 are replaced, so that they match nothing.
    pub fn text(&self) -> Cow<'_, str> {
        if self.raw_value.is_empty() {
            Cow::Borrowed(self.value.as_str())
        } else {
            String::from_utf8_lossy(&self.raw_value)
        }
    }
}

impl HeaderValueOption {
    /// `OVERWRITE_IF_EXISTS_OR_ADD`: all that is there gives way.
    pub const OVERWRITE: i32 = 2;

    /// A header that takes the place of all others of its name.
    pub fn overwriting(name: &str, value: &str) -> Self {
        Self {
            header: Some(HeaderValue {
                key: name.to_owned(),
                value: value.to_owned(),
                raw_value: Vec::new(),
            }),
            append_action: Self::OVERWRITE,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn fields_are_where_envoy_has_them() {
        let http = HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: HashMap::from([("a".to_owned(), "b".to_owned())]),
            ..HttpRequest::default()
        };
        let request = CheckRequest {
            attributes: Some(AttributeContext {
                source: None,
                request: Some(Request { http: Some(http) }),
            }),
        };
        // attributes(1) { request(4) { http(2) { method(2), headers(3) { 1, 2 }, path(4) } } }
        let bytes = b"\x0a\x14\x22\x12\x12\x10\x12\x03GET\x1a\x06\x0a\x01a\x12\x01b\x22\x01/";
        assert_eq!(request.encode_to_vec(), bytes);
        assert_eq!(CheckRequest::decode(&bytes[..]).unwrap(), request);
        let response = CheckResponse {
            status: Some(Status {
                code: 7,
                message: String::new(),
            }),
            http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
                status: Some(HttpStatus { code: 403 }),
                headers: vec![HeaderValueOption::overwriting("a", "b")],
                body: "x".to_owned(),
            })),
            dynamic_metadata: None,
        };
        // status(1) { code(1) }, denied_response(2) { status(1) { code(1) }, headers(2) {
        // header(1) { key(1), value(2) }, append_action(3) }, body(3) }
        let bytes = b"\x0a\x02\x08\x07\x12\x14\x0a\x03\x08\x93\x03\x12\x0a\x0a\x06\x0a\x01a\x12\x01b\x18\x02\x1a\x01x";
        assert_eq!(response.encode_to_vec(), bytes);
    }
}

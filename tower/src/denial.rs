use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tokensmith_engine::decide::Denial;

use crate::DenialBody;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// How a caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    /// A call that is refused has no body: its status is in the headers.
    Grpc,
}

impl Protocol {
    /// Of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let grpc = headers.get(CONTENT_TYPE).is_some_and(|value| {
            let rest = value.as_bytes().strip_prefix(b"application/grpc");
            // `application/grpc-web` is another protocol, which has trailers in its body.
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        });
        if grpc { Self::Grpc } else { Self::Http }
    }
}

/// The answer of a request that is not handed on.
pub(crate) fn response<B>(denial: Denial, protocol: Protocol) -> Response<DenialBody<B>> {
    match protocol {
        Protocol::Http => http_response(denial),
        Protocol::Grpc => grpc_response(&denial),
    }
}

fn http_response<B>(denial: Denial) -> Response<DenialBody<B>> {
    let mut response = Response::new(DenialBody::denial(denial.body));
    // A denial is never a success, whatever its status would be.
    *response.status_mut() =
        StatusCode::from_u16(denial.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in denial.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .append(HeaderName::from_static(name), value);
        }
    }
    response
}

fn grpc_response<B>(denial: &Denial) -> Response<DenialBody<B>> {
    let mut response = Response::new(DenialBody::denial(Vec::new()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from(grpc_code(denial.status)));
    if let Ok(message) = HeaderValue::from_str(&grpc_message(denial)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    for (name, value) in &denial.headers {
        // What else there is describes the body.
        if matches!(*name, "www-authenticate" | "retry-after")
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// `google.rpc.Code`, as external authorization answers; never `OK`.
fn grpc_code(status: u16) -> u16 {
    match status {
        400 => 3,  // INVALID_ARGUMENT
        401 => 16, // UNAUTHENTICATED
        403 => 7,  // PERMISSION_DENIED
        503 => 14, // UNAVAILABLE
        _ => 13,   // INTERNAL
    }
}

/// `CODE: message` of the body, percent-encoded as gRPC wants it.
fn grpc_message(denial: &Denial) -> String {
    let body: serde_json::Value = serde_json::from_slice(&denial.body).unwrap_or_default();
    let text = |name: &str| {
        let value = body.get(name).and_then(serde_json::Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let message = format!("{}: {}", text("code"), text("message"));
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_denial_is_ok() {
        for status in [0, 200, 400, 401, 403, 429, 500, 503, u16::MAX] {
            assert_ne!(grpc_code(status), 0);
            let denial = Denial {
                status,
                ..Denial::unavailable()
            };
            let response: Response<DenialBody<()>> = response(denial, Protocol::Grpc);
            assert_ne!(response.headers()["grpc-status"], "0");
            assert_eq!(
                response.headers()["grpc-message"],
                "AUTHZ_ENGINE_ERROR: authorization engine error"
            );
        }
    }

    #[test]
    fn protocols() {
        for (kind, expected) in [
            (None, Protocol::Http),
            (Some("application/json"), Protocol::Http),
            (Some("application/grpc"), Protocol::Grpc),
            (Some("application/grpc+proto"), Protocol::Grpc),
            (Some("application/grpc;x=y"), Protocol::Grpc),
            (Some("application/grpc-web"), Protocol::Http),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            assert_eq!(Protocol::of(&headers), expected, "{kind:?}");
        }
    }
}

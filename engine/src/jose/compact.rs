use std::borrow::Cow;

use serde_json::{Map, Value};

use super::json_scan::{Scanned, scan_object};
use super::{Algorithm, JoseError, Limits, base64url, strict_json::parse_object};

/// The protected header of a JWS, reduced to what verification may look at.
///
/// `jwk`, `jku`, `x5u`, `x5c` and `x5t` are never read: keys come from configuration only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`, if present.
    pub kid: Option<String>,
    /// `typ`, if present.
    pub typ: Option<String>,
}

/// A JWS in compact serialization (RFC 7515 section 7.1), split and decoded but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jws<'t> {
    /// The protected header.
    pub header: Header,
    /// The bytes that are signed: encoded header, `.`, encoded payload.
    pub signing_input: Cow<'t, str>,
    /// The decoded payload. Unverified.
    pub payload: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
}

/// A token's parts for display. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The protected header, whatever its `alg`.
    pub header: Map<String, Value>,
    /// The claims.
    pub payload: Map<String, Value>,
}

/// The JSON texts in a token, for display by a caller with a parser of its own. Nothing in it is
/// verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedText {
    /// The protected header, whatever its `alg`.
    pub header: String,
    /// The claims.
    pub payload: String,
}

impl<'t> Jws<'t> {
    /// Splits, decodes and checks the header of `token`.
    ///
    /// # Errors
    /// Any [`JoseError`]; limits are applied before anything is split or decoded.
    ///
    /// ```
    /// use tokensmith_engine::jose::{Jws, Limits};
    /// let error = Jws::parse("a.b", &Limits::default()).unwrap_err();
    /// assert_eq!(error.code(), "token_malformed");
    /// ```
    pub fn parse(token: &'t str, limits: &Limits) -> Result<Self, JoseError> {
        if token.len() > limits.token_bytes {
            return Err(JoseError::TokenTooLong {
                length: token.len(),
                limit: limits.token_bytes,
            });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JoseError::SegmentCount)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(JoseError::SegmentCount)?;
        if payload.contains('.') {
            return Err(JoseError::SegmentCount);
        }
        Ok(Self {
            header: Header::parse(header, limits)?,
            signing_input: Cow::Borrowed(signing_input),
            payload: base64url::decode(payload).ok_or(JoseError::Base64("payload"))?,
            signature: base64url::decode(signature).ok_or(JoseError::Base64("signature"))?,
        })
    }

    /// The header and payload as JSON, for display only: nothing in it is verified.
    ///
    /// # Errors
    /// As [`Jws::parse`], except that any `alg` is shown.
    pub fn inspect(token: &str, limits: &Limits) -> Result<Inspected, JoseError> {
        let (header, payload) = shown_segments(token, limits)?;
        let object = |segment: &'static str, text: &str| {
            let bytes = base64url::decode(text).ok_or(JoseError::Base64(segment))?;
            parse_object(&bytes, limits).map_err(|message| JoseError::Json { segment, message })
        };
        Ok(Inspected {
            header: object("header", header)?,
            payload: object("payload", payload)?,
        })
    }

    /// As [`Jws::inspect`], leaving the JSON as it is in the token: it is checked, and read by
    /// whoever shows it.
    ///
    /// # Errors
    /// As [`Jws::inspect`].
    ///
    /// ```
    /// use tokensmith_engine::jose::{Jws, Limits};
    /// let shown = Jws::inspect_text("eyJhbGciOiJub25lIn0.e30.", &Limits::default()).unwrap();
    /// assert_eq!((shown.header.as_str(), shown.payload.as_str()), (r#"{"alg":"none"}"#, "{}"));
    /// ```
    pub fn inspect_text(token: &str, limits: &Limits) -> Result<InspectedText, JoseError> {
        let (header, payload) = shown_segments(token, limits)?;
        let object = |segment: &'static str, text: &str| -> Result<String, JoseError> {
            let wrong = |message: String| JoseError::Json { segment, message };
            let bytes = base64url::decode(text).ok_or(JoseError::Base64(segment))?;
            let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8".to_owned()))?;
            scan_object(&text, limits, |_, _| {}).map_err(wrong)?;
            Ok(text)
        };
        Ok(InspectedText {
            header: object("header", header)?,
            payload: object("payload", payload)?,
        })
    }
}

/// Header and payload of a token as they are encoded.
fn shown_segments<'t>(token: &'t str, limits: &Limits) -> Result<(&'t str, &'t str), JoseError> {
    if token.len() > limits.token_bytes {
        return Err(JoseError::TokenTooLong {
            length: token.len(),
            limit: limits.token_bytes,
        });
    }
    let mut segments = token.split('.');
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (Some(header), Some(payload), Some(_), None) => Ok((header, payload)),
        _ => Err(JoseError::SegmentCount),
    }
}

impl Header {
    fn parse(segment: &str, limits: &Limits) -> Result<Self, JoseError> {
        if segment.len() > limits.header_bytes {
            return Err(JoseError::HeaderTooLong {
                length: segment.len(),
                limit: limits.header_bytes,
            });
        }
        let bytes = base64url::decode(segment).ok_or(JoseError::Base64("header"))?;
        let wrong = |message: String| JoseError::Json {
            segment: "header",
            message,
        };
        let text = str::from_utf8(&bytes).map_err(|_| wrong("not UTF-8".to_owned()))?;
        let (mut alg, mut kid, mut typ) = (None, None, None);
        let (mut unencoded, mut critical) = (false, false);
        scan_object(text, limits, |name, value| match name {
            "alg" => alg = Some(value),
            "kid" => kid = Some(value),
            "typ" => typ = Some(value),
            "b64" => unencoded = true,
            // No extension is understood, so any `crit` is one that is not (RFC 7515 section
            // 4.1.11).
            "crit" => critical = true,
            _ => {}
        })
        .map_err(wrong)?;
        if unencoded {
            return Err(JoseError::UnencodedPayload);
        }
        if critical {
            return Err(JoseError::CriticalRefused);
        }
        let algorithm = match alg {
            Some(Scanned::Text(name)) => Algorithm::from_name(&name)?,
            _ => return Err(JoseError::AlgorithmMissing),
        };
        Ok(Self {
            algorithm,
            kid: optional_string(kid, "kid")?,
            typ: optional_string(typ, "typ")?,
        })
    }
}

fn optional_string(
    value: Option<Scanned<'_>>,
    name: &'static str,
) -> Result<Option<String>, JoseError> {
    match value {
        None => Ok(None),
        Some(Scanned::Text(text)) => Ok(Some(text.into_owned())),
        Some(_) => Err(JoseError::HeaderType(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.AQ", base64url::encode(header))
    }

    #[test]
    fn header_rules() {
        let cases = [
            (r#"{"alg":"ES256"}"#, None),
            (r#"{"alg":"ES256","jwk":{"kty":"oct"},"jku":"x"}"#, None),
            (r#"{"alg":"none"}"#, Some("alg_refused")),
            (r#"{"alg":"None"}"#, Some("alg_refused")),
            (r#"{"alg":"HS256"}"#, Some("alg_refused")),
            (r#"{"alg":"es256"}"#, Some("alg_refused")),
            (r#"{"alg":["ES256"]}"#, Some("alg_missing")),
            (r#"{}"#, Some("alg_missing")),
            (r#"{"alg":"ES256","alg":"none"}"#, Some("token_malformed")),
            (r#"{"alg":"ES256","crit":["exp"]}"#, Some("crit_refused")),
            (r#"{"alg":"ES256","crit":[]}"#, Some("crit_refused")),
            (r#"{"alg":"ES256","b64":false}"#, Some("b64_refused")),
            (r#"{"alg":"ES256","kid":1}"#, Some("token_malformed")),
        ];
        for (header, code) in cases {
            let text = token(header);
            let result = Jws::parse(&text, &Limits::default());
            assert_eq!(result.err().map(|error| error.code()), code, "{header}");
        }
    }

    #[test]
    fn both_ways_to_inspect_refuse_the_same() {
        let limits = Limits::default();
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(20), "]".repeat(20));
        for payload in [
            "{}",
            r#"{"a":{"b":[1,"x",null,true,-1.5e3]}}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            "[]",
            "{} x",
            "\u{feff}{}",
            deep.as_str(),
        ] {
            let token = format!("e30.{}.", base64url::encode(payload));
            let code = |error: JoseError| error.code();
            let values = Jws::inspect(&token, &limits);
            let texts = Jws::inspect_text(&token, &limits);
            if let (Ok(values), Ok(texts)) = (&values, &texts) {
                let read: Value = serde_json::from_str(&texts.payload).unwrap();
                assert_eq!(read, Value::Object(values.payload.clone()), "{payload}");
            }
            assert_eq!(
                texts.map(|_| ()).map_err(code),
                values.map(|_| ()).map_err(code),
                "{payload}"
            );
        }
    }

    #[test]
    fn segments_and_encoding() {
        for text in [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            "e30.e30.A=",
            "e30.e30. ",
            "e30.e30.AR",
        ] {
            assert!(Jws::parse(text, &Limits::default()).is_err(), "{text}");
        }
        let long = "a".repeat(16 * 1024 + 1);
        assert_eq!(
            Jws::parse(&long, &Limits::default()).map_err(|error| error.code()),
            Err("token_too_long")
        );
    }
}

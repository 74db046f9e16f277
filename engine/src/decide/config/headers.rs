use serde::{Deserialize, Serialize};

use crate::decide::identity::IDENTITY_HEADERS;
use crate::principal::ClaimPath;

/// Names that would change how the request is read, or by whom; `cookie` and `authorization` are
/// the caller's own.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A claim to hand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimHeader {
    /// The claim's name, or the names that lead to it. An array of scalars is joined with `,`; an
    /// object is not handed on.
    pub claim: ClaimPath,
    /// The request header's name. Of several claims with one header the first that a token has
    /// counts.
    pub header: String,
}

/// The header that hands on the verified payload of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadHeader {
    /// The request header's name.
    pub name: String,
    /// Whether the base64url ends with `=` as padding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pad: bool,
}

/// What later filters and access logs of the proxy get to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterStateConfig {
    /// Claims beside the record of the decision.
    pub claims: Vec<ClaimPath>,
}

impl FilterStateConfig {
    /// Most claims.
    pub(super) const CLAIMS: usize = 64;
}

/// Why a header named `name` may not be set.
pub(super) fn refusal_to_set(name: &str) -> Option<String> {
    if !is_http_token(name) {
        return Some(format!("`{name}` is not a header name"));
    }
    let is = |own: &&str| own.eq_ignore_ascii_case(name);
    if IDENTITY_HEADERS.iter().any(&is) {
        return Some(format!("`{name}` is the principal's own: choose another"));
    }
    if RESERVED.iter().any(is) {
        return Some(format!("`{name}` has a meaning of its own: choose another"));
    }
    None
}

/// Whether `text` is a token (RFC 9110 section 5.6.2), as header names and methods are.
pub(in crate::decide) fn is_http_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_set() {
        for (name, may) in [
            ("x-email", true),
            ("X-Email", true),
            ("", false),
            ("a b", false),
            (":path", false),
            ("Host", false),
            ("authorization", false),
            ("X-TokenSmith-Roles", false),
        ] {
            assert_eq!(refusal_to_set(name).is_none(), may, "{name}");
        }
    }
}

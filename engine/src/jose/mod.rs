//! JSON Object Signing: compact JWS (RFC 7515), JWK (RFC 7517), algorithms (RFC 7518, 8037).

mod algorithm;
mod base64url;
mod compact;
mod error;
mod json_scan;
mod jwk;
mod jwk_set;
mod limits;
mod spki;
mod strict_json;
mod thumbprint;

pub use algorithm::{Algorithm, Curve, KeyType};
pub use base64url::{decode as decode_base64url, encode as encode_base64url};
pub use compact::{Header, Inspected, InspectedText, Jws};
pub use error::{JoseError, JwkError};
pub(crate) use json_scan::{Scanned, scan_object};
pub use jwk::{Jwk, PublicKey};
pub use jwk_set::{JwkSet, RejectedJwk};
pub use limits::Limits;
pub use strict_json::parse_object;
pub use thumbprint::is_thumbprint;

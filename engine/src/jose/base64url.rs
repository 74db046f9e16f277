use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes as base64url without padding (RFC 7515 section 2).
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url strictly: no padding, no white space, no non-zero trailing bits.
///
/// Returns `None` when `text` is not the one canonical spelling of some bytes.
///
/// ```
/// use tokensmith_engine::jose::decode_base64url;
/// assert_eq!(decode_base64url("AQ"), Some(vec![1]));
/// assert_eq!(decode_base64url("AR"), None);
/// assert_eq!(decode_base64url("AQ=="), None);
/// ```
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

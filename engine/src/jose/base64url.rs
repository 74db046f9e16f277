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
    #[cfg(feature = "simd")]
    let decoded = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text);
    #[cfg(not(feature = "simd"))]
    let decoded = URL_SAFE_NO_PAD.decode(text);
    decoded.ok()
}

#[cfg(all(test, feature = "simd"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Both decoders accept and make the same, near the vectors' edges too.
        #[test]
        fn vectors_change_nothing(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            other in any::<u8>(),
        ) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text), Some(bytes));
            let mut text = text.into_bytes();
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = other;
            }
            prop_assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }
}

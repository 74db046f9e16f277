/// Bounds that every input is held to before it is split or decoded.
///
/// ```
/// let limits = tokensmith_engine::jose::Limits::default();
/// assert_eq!(limits.token_bytes, 16 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest accepted compact JWS, in bytes.
    pub token_bytes: usize,
    /// Longest accepted header segment, in base64url characters.
    pub header_bytes: usize,
    /// Deepest accepted nesting of JSON arrays and objects.
    pub depth: usize,
    /// Most members and elements accepted in one JSON document.
    pub members: usize,
    /// Longest accepted JWK set document, in bytes.
    pub jwk_set_bytes: usize,
    /// Most keys accepted in one JWK set.
    pub jwk_set_keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_bytes: 16 * 1024,
            header_bytes: 4 * 1024,
            depth: 16,
            members: 256,
            jwk_set_bytes: 1024 * 1024,
            jwk_set_keys: 256,
        }
    }
}

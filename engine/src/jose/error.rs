use thiserror::Error;

/// Why a compact JWS was refused before any key was looked at.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JoseError {
    /// Longer than [`super::Limits::token_bytes`].
    #[error("token is {length} bytes long, more than the limit of {limit}")]
    TokenTooLong {
        /// Length of the input in bytes.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Header longer than [`super::Limits::header_bytes`].
    #[error("token header is {length} characters long, more than the limit of {limit}")]
    HeaderTooLong {
        /// Length of the header segment.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Not three segments separated by `.` (RFC 7515 section 7.1).
    #[error("token does not have three segments separated by `.`")]
    SegmentCount,
    /// A segment is not strict base64url.
    #[error("token {0} is not base64url without padding")]
    Base64(&'static str),
    /// A segment is not the strict JSON object it has to be.
    #[error("token {segment} is not a valid JSON object: {message}")]
    Json {
        /// `header` or `payload`.
        segment: &'static str,
        /// What the JSON parser said.
        message: String,
    },
    /// No `alg` member, or not a string.
    #[error("token header has no `alg` string")]
    AlgorithmMissing,
    /// `none`, an HMAC algorithm, an unknown one, or one outside the caller's list.
    #[error("algorithm `{0}` is not accepted")]
    AlgorithmRefused(String),
    /// A header member has the wrong JSON type.
    #[error("token header member `{0}` has the wrong type")]
    HeaderType(&'static str),
    /// A critical extension that is not understood (RFC 7515 section 4.1.11).
    #[error("token header has a `crit` extension that is not understood")]
    CriticalRefused,
    /// Unencoded payloads (RFC 7797) are not tokens.
    #[error("token header has `b64`: unencoded payloads are not accepted")]
    UnencodedPayload,
}

impl JoseError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            JoseError::TokenTooLong { .. } => "token_too_long",
            JoseError::HeaderTooLong { .. } => "header_too_long",
            JoseError::SegmentCount
            | JoseError::Base64(_)
            | JoseError::Json { .. }
            | JoseError::HeaderType(_) => "token_malformed",
            JoseError::AlgorithmMissing => "alg_missing",
            JoseError::AlgorithmRefused(_) => "alg_refused",
            JoseError::CriticalRefused => "crit_refused",
            JoseError::UnencodedPayload => "b64_refused",
        }
    }
}

/// Why a JWK or a JWK set was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JwkError {
    /// Not strict JSON of the right shape.
    #[error("JWK set is not valid JSON: {0}")]
    Json(String),
    /// A limit of [`super::Limits`] is exceeded.
    #[error("JWK set exceeds the limit of {0}")]
    TooLarge(&'static str),
    /// The document has no `keys` array.
    #[error("JWK set has no `keys` array")]
    NoKeys,
    /// A member is missing or has the wrong type.
    #[error("JWK member `{0}` is missing or has the wrong type")]
    Member(&'static str),
    /// `kty`, `crv` or `alg` outside what the engine verifies.
    #[error("JWK `{member}` value `{value}` is not supported")]
    Unsupported {
        /// The member's name.
        member: &'static str,
        /// Its value, shortened.
        value: String,
    },
    /// A member is not strict base64url, or has a length the key type forbids.
    #[error("JWK member `{0}` is not a valid encoding")]
    Encoding(&'static str),
    /// RSA modulus under 2048 or over 8192 bits, or an unsafe exponent.
    #[error("RSA key of {0} bits is outside 2048 to 8192, or its exponent is unsafe")]
    RsaStrength(usize),
    /// The key carries private or symmetric material.
    #[error("JWK carries private or symmetric key material")]
    Private,
    /// `use` or `key_ops` do not allow verification.
    #[error("JWK is not for signature verification")]
    NotForVerification,
    /// `alg` does not fit the key's type or curve.
    #[error("JWK `alg` does not fit its key type")]
    AlgorithmMismatch,
    /// The point is not on the curve, or the provider refused the key.
    #[error("JWK is not a usable public key")]
    Unusable,
}

impl JwkError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            JwkError::Json(_) | JwkError::NoKeys => "jwks_malformed",
            JwkError::TooLarge(_) => "jwks_too_large",
            JwkError::Member(_) | JwkError::Encoding(_) => "jwk_malformed",
            JwkError::Unsupported { .. } => "jwk_unsupported",
            JwkError::RsaStrength(_) => "jwk_weak",
            JwkError::Private => "jwk_private",
            JwkError::NotForVerification => "jwk_use",
            JwkError::AlgorithmMismatch => "jwk_alg",
            JwkError::Unusable => "jwk_unusable",
        }
    }
}

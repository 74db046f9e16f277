use sha2::{Digest as _, Sha256};

use super::{PublicKey, base64url};

/// Whether `kid` has the form of an RFC 7638 SHA-256 thumbprint: 32 bytes of strict base64url.
pub fn is_thumbprint(kid: &str) -> bool {
    base64url::decode(kid).is_some_and(|bytes| bytes.len() == 32)
}

/// RFC 7638 section 3: SHA-256 over the required members in lexicographic order.
pub(super) fn thumbprint(key: &PublicKey) -> String {
    let canonical = match key {
        PublicKey::Rsa { n, e } => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            base64url::encode(e),
            base64url::encode(n)
        ),
        PublicKey::Ec { curve, x, y } => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            curve.name(),
            base64url::encode(x),
            base64url::encode(y)
        ),
        PublicKey::Ed25519 { x } => format!(
            r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
            base64url::encode(x)
        ),
    };
    base64url::encode(Sha256::digest(canonical.as_bytes()))
}

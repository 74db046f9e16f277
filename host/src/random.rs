//! Secrets and identifiers from the system's random generator.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;
use tokensmith_engine::jose::encode_base64url;

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the system gives no random bytes")]
pub struct NoRandom;

/// 256 random bits as 43 characters of base64url: a bootstrap or refresh token, or a nonce.
///
/// # Errors
/// [`NoRandom`].
pub fn opaque_token() -> Result<String, NoRandom> {
    Ok(encode_base64url(bytes::<32>()?))
}

/// 128 random bits as 22 characters of base64url: an identifier.
///
/// # Errors
/// [`NoRandom`].
pub fn identifier() -> Result<String, NoRandom> {
    Ok(encode_base64url(bytes::<16>()?))
}

/// Any number; that it differs between processes is all its users need.
pub fn seed() -> u64 {
    bytes().map(u64::from_ne_bytes).unwrap_or_default()
}

/// A key for digests that never leave memory.
pub fn digest_key() -> [u8; 16] {
    bytes().unwrap_or_default()
}

fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

//! From token text to [`Verified`]: the only way is through a [`Verifier`].
//!
//! Checking the signature is an effect. [`Verifier::begin`] does everything that needs no
//! cryptography and returns a [`SignatureJob`]; whoever can check signatures (aws-lc-rs, the
//! proxy, WebCrypto, portable Rust) does so and hands the [`Verdict`] to
//! [`SignatureJob::finish`], which checks the claims.

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
mod bare_jws;
mod cache;
mod error;
mod job;
mod key_ring;
#[cfg(feature = "portable")]
pub mod portable;
mod provider;
mod verified;
mod verifier;

pub use bare_jws::{JwsJob, verify_jws};
pub use cache::{Cached, TokenDigest, VerdictCache};
pub use error::VerifyError;
pub use job::{SignatureCheck, SignatureJob};
pub use key_ring::{Key, KeyRing, RejectedKey};
pub use provider::{External, SignatureProvider, Verdict, VerificationKey};
pub use verified::Verified;
pub use verifier::Verifier;
